#!/usr/bin/env python3
"""ADBC's PostgreSQL driver; where and who is in the variables of libpq.

  query_adbc_postgresql.py rows | describe

Prints one JSON object: `rows` of everything by binary COPY and without it, `found` by parameters,
and `faults`; or what it makes of the catalog.
"""

import json
import sys

import adbc_driver_postgresql.dbapi
from adbc_driver_postgresql import StatementOptions

from query_cases import ALL, CONDITIONS, FAULTS, arrow_texts, found_sql, tables, texts


def table(connection, use_copy):
    with connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**{StatementOptions.USE_COPY.value: use_copy})
        cursor.execute(ALL)
        return cursor.fetch_arrow_table()


def found(connection):
    answers = {}
    for name, (condition, value) in CONDITIONS.items():
        with connection.cursor() as cursor:
            cursor.execute(found_sql(condition, "$1"), (value,))
            answers[name] = [row[0] for row in cursor.fetchall()]
    return answers


def faults(connection):
    told = {}
    for name, sql in FAULTS.items():
        with connection.cursor() as cursor:
            try:
                cursor.execute(sql)
                cursor.fetchall()
                told[name] = [None, ""]
            except adbc_driver_postgresql.dbapi.Error as error:
                told[name] = [error.sqlstate, str(error)]
    return told


def rows(connection):
    with connection.cursor() as cursor:
        cursor.execute(ALL)
        by_row = texts(cursor.fetchall())
    return {
        "rows": {
            "copied": arrow_texts(table(connection, True)),
            "not copied": arrow_texts(table(connection, False)),
            "by row": by_row,
        },
        "found": found(connection),
        "faults": faults(connection),
    }


def describe(connection):
    schema = connection.adbc_get_table_schema("kinds", db_schema_filter="public")
    return {
        "columns": [[field.name, str(field.type)] for field in schema],
        "tables": tables(connection.adbc_get_objects(db_schema_filter="public")),
    }


def main():
    with adbc_driver_postgresql.dbapi.connect("postgresql://", autocommit=True) as connection:
        print(json.dumps({"rows": rows, "describe": describe}[sys.argv[1]](connection)))


if __name__ == "__main__":
    main()
