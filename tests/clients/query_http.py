#!/usr/bin/env python3
"""requests, pyarrow and DuckDB, which read the answers of HTTP; SYNCGUARD_URL is where queries are
posted, SYNCGUARD_API_KEY tells who.

Prints one JSON object: `rows` of everything in each format, `found` by parameters, and codes
and messages of `faults`.
"""

import datetime
import io
import json
import os
import tempfile

import duckdb
import pyarrow
import pyarrow.csv
import pyarrow.parquet
import requests

from query_cases import ALL, CONDITIONS, FAULTS, arrow_texts, found_sql, texts

URL = os.environ["SYNCGUARD_URL"]
MEDIA_TYPES = {
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "csv": "text/csv",
    "arrow": "application/vnd.apache.arrow.stream",
    "parquet": "application/vnd.apache.parquet",
}

session = requests.Session()
session.trust_env = False
session.headers["Authorization"] = f"Bearer {os.environ['SYNCGUARD_API_KEY']}"


def accepted(form):
    """Everything in a format that `Accept` asks for."""
    headers = {"Content-Type": "application/sql", "Accept": MEDIA_TYPES[form]}
    return whole(session.post(URL, data=ALL, headers=headers, timeout=60), form)


def named(form):
    """Everything in a format that the address names."""
    return whole(session.post(URL, params={"format": form}, json={"sql": ALL}, timeout=60), form)


def whole(answer, form):
    answer.raise_for_status()
    assert answer.headers["Content-Type"] == MEDIA_TYPES[form], answer.headers
    return answer.content


def numbers_as_text(body):
    return json.loads(body, parse_float=str, parse_int=str)


def from_csv(body):
    header = body.split(b"\n", 1)[0].decode().split(",")
    table = pyarrow.csv.read_csv(
        io.BytesIO(body),
        parse_options=pyarrow.csv.ParseOptions(newlines_in_values=True),
        # As everywhere here, an empty field without quotes is NULL.
        convert_options=pyarrow.csv.ConvertOptions(
            column_types={name.strip('"\r'): pyarrow.string() for name in header},
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    return arrow_texts(table)


def from_duckdb(database, source):
    """What DuckDB makes of it, as its own text."""
    return texts(database.sql(f"SELECT COLUMNS(*)::VARCHAR FROM {source} AS answer ORDER BY answer.id").fetchall())


def rows():
    arrow = pyarrow.ipc.open_stream(accepted("arrow")).read_all()
    arrow.validate(full=True)
    database = duckdb.connect()
    database.execute("SET TimeZone = 'UTC'")
    database.register("streamed", pyarrow.ipc.open_stream(named("arrow")).read_all())
    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        file.write(accepted("parquet"))
        file.flush()
        parquet = from_duckdb(database, f"'{file.name}'")
    return {
        "json": texts(numbers_as_text(accepted("json"))["rows"]),
        "json named": texts(numbers_as_text(named("json"))["rows"]),
        "ndjson": texts(numbers_as_text(line).values() for line in accepted("ndjson").splitlines()),
        "csv": from_csv(accepted("csv")),
        "csv named": from_csv(named("csv")),
        "arrow": arrow_texts(arrow),
        "arrow in DuckDB": from_duckdb(database, "streamed"),
        "parquet": arrow_texts(pyarrow.parquet.read_table(io.BytesIO(named("parquet")))),
        "parquet in DuckDB": parquet,
    }


def found():
    answers = {}
    for name, (condition, value) in CONDITIONS.items():
        value = value.isoformat() if isinstance(value, datetime.date) else value
        answer = session.post(URL, json={"sql": found_sql(condition, "$1"), "params": [value]}, timeout=60)
        answer.raise_for_status()
        answers[name] = [row[0] for row in answer.json()["rows"]]
    return answers


def faults():
    told = {}
    for name, sql in FAULTS.items():
        answer = session.post(URL, json={"sql": sql}, timeout=60)
        told[name] = [None, ""] if answer.ok else [answer.json()["error"]["code"], answer.text]
    return told


def main():
    print(json.dumps({"rows": rows(), "found": found(), "faults": faults()}))


if __name__ == "__main__":
    main()
