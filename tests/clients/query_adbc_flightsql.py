#!/usr/bin/env python3
"""ADBC's Flight SQL driver; SYNCGUARD_FLIGHT, SYNCGUARD_EMAIL and SYNCGUARD_API_KEY tell where and
who.

Prints one JSON object: `rows` of everything with the key as token and after a handshake, `found` by
parameters, codes and messages of `faults`, and what it makes of the catalog.
"""

import json
import os

import adbc_driver_flightsql.dbapi
import pyarrow
from adbc_driver_flightsql import DatabaseOptions

from query_cases import ALL, CONDITIONS, FAULTS, arrow_texts, found_sql, tables, texts

KEY = os.environ["SYNCGUARD_API_KEY"]
TOKEN = {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {KEY}"}
HANDSHAKE = {"username": os.environ["SYNCGUARD_EMAIL"], "password": KEY}
WORKSPACE = {DatabaseOptions.RPC_CALL_HEADER_PREFIX.value + "database": "default"}


def connect(options):
    return adbc_driver_flightsql.dbapi.connect(
        os.environ["SYNCGUARD_FLIGHT"], db_kwargs={**options, **WORKSPACE}, autocommit=True
    )


def table(connection):
    with connection.cursor() as cursor:
        cursor.execute(ALL)
        return cursor.fetch_arrow_table()


def by_row(connection):
    with connection.cursor() as cursor:
        cursor.execute(ALL)
        return texts(cursor.fetchall())


def prepared(connection):
    with connection.cursor() as cursor:
        cursor.adbc_prepare(ALL)
        for _ in range(3):
            cursor.execute(ALL)
            last = arrow_texts(cursor.fetch_arrow_table())
        return last


def found(connection):
    answers = {}
    for name, (condition, value) in CONDITIONS.items():
        with connection.cursor() as cursor:
            for _ in range(2):
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
            except adbc_driver_flightsql.dbapi.Error as error:
                told[name] = [error.status_code.name, str(error)]
            except pyarrow.ArrowException as error:
                # A fault that comes behind the columns.
                told[name] = [type(error).__name__, str(error)]
    return told


def described(connection):
    schema = connection.adbc_get_table_schema("kinds", db_schema_filter="public")
    return {
        "columns": [[field.name, str(field.type)] for field in schema],
        "tables": tables(connection.adbc_get_objects()),
        "table types": connection.adbc_get_table_types(),
        "vendor": connection.adbc_get_info()["vendor_name"],
    }


def main():
    with connect(HANDSHAKE) as connection:
        greeted = arrow_texts(table(connection))
    with connect(TOKEN) as connection:
        answer = {
            "rows": {
                "after a handshake": greeted,
                "table": arrow_texts(table(connection)),
                "by row": by_row(connection),
                "prepared": prepared(connection),
            },
            "found": found(connection),
            "faults": faults(connection),
            **described(connection),
        }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
