#!/usr/bin/env python3
"""psycopg 3 over the PostgreSQL protocol; where and who is in the variables of libpq.

Prints one JSON object: `rows` of everything by each way to fetch it, `found` by parameters, codes
and messages of `faults`, and what came of `cancel` and of a `transaction`.
"""

import json
import threading

import psycopg

from query_cases import ALL, CONDITIONS, FAULTS, found_sql, texts

TYPES = [
    *("int8", "int2", "int4", "numeric", "float8", "float4"),
    *("bool", "text", "date", "timestamp", "timestamptz", "text"),
]
ENDLESS = (
    "SELECT count(*) FROM kinds a, kinds b, kinds c, kinds d, kinds e"
    " WHERE a.id + b.id + c.id + d.id + e.id < 0"
)


def copied(connection, form):
    with connection.cursor() as cursor, cursor.copy(f"COPY ({ALL}) TO STDOUT (FORMAT {form})") as copy:
        copy.set_types(TYPES)
        return texts(copy.rows())


def held(connection, binary):
    """By a cursor that the server holds, a few rows at a time."""
    with connection.transaction(), connection.cursor(name="Held rows", binary=binary) as cursor:
        cursor.itersize = 37
        return texts(cursor.execute(ALL))


def rows(connection):
    with connection.pipeline():
        pipelined = [connection.execute(ALL, binary=True) for _ in range(3)]
    with psycopg.ClientCursor(connection) as client:
        pasted = texts(client.execute(ALL + " LIMIT %s", [10**6]))
    for _ in range(8):
        prepared = texts(connection.execute(ALL, prepare=True))
    return {
        "simple": texts(connection.execute(ALL)),
        "binary": texts(connection.execute(ALL, binary=True)),
        "pasted": pasted,
        "pipelined": texts(pipelined[-1]),
        "prepared": prepared,
        "streamed": texts(connection.cursor().stream(ALL)),
        "held": held(connection, False),
        "held, binary": held(connection, True),
        "copied": copied(connection, "TEXT"),
        "copied, binary": copied(connection, "BINARY"),
    }


def found(connection):
    answers = {}
    for name, (condition, value) in CONDITIONS.items():
        sql = found_sql(condition, "%s")
        for way, options in {
            "text": {},
            "binary": {"binary": True},
            "prepared": {"prepare": True},
        }.items():
            for _ in range(3):
                answers[f"{name}: {way}"] = [row[0] for row in connection.execute(sql, [value], **options)]
        binary = found_sql(condition, "%b")
        answers[f"{name}: binary value"] = [row[0] for row in connection.execute(binary, [value])]
    return answers


def faults(connection):
    told = {}
    for name, sql in FAULTS.items():
        try:
            connection.execute(sql).fetchall()
            told[name] = [None, ""]
        except psycopg.Error as error:
            told[name] = [error.sqlstate, str(error)]
    return told


def cancel(connection):
    """What ends a query that would not end; again and again, since it may not have begun."""
    ended = threading.Event()

    def insist():
        while not ended.wait(0.1):
            connection.cancel_safe()

    other = threading.Thread(target=insist)
    other.start()
    try:
        connection.execute(ENDLESS).fetchall()
        return None
    except psycopg.Error as error:
        return error.sqlstate
    finally:
        ended.set()
        other.join()


def transaction(connection):
    """How a transaction goes on after a fault, and after its end."""
    told = []
    connection.execute("BEGIN")
    for sql in (FAULTS["table"], "SELECT 1", "ROLLBACK", "SELECT 1"):
        try:
            told.append(connection.execute(sql).statusmessage)
        except psycopg.Error as error:
            told.append(error.sqlstate)
    connection.read_only = True
    connection.autocommit = False
    told.append(connection.execute("SELECT 2").fetchone()[0])
    connection.commit()
    told.append(connection.info.transaction_status.name)
    connection.autocommit = True
    return told


def main():
    with psycopg.connect(autocommit=True) as connection:
        everything = rows(connection)
        # Without rows it ends by itself.
        canceled = cancel(connection) if everything["simple"] else None
        answer = {
            "rows": everything,
            "found": found(connection),
            "faults": faults(connection),
            "cancel": canceled,
            "transaction": transaction(connection),
        }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
