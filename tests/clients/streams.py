#!/usr/bin/env python3
"""Sends the records of a CSV file through a server, as people do with what they have.

  streams.py CLIENT URL FILE

CLIENT is requests, requests-gzip, pyarrow or duckdb. The key is in SYNCGUARD_API_KEY. Prints one
JSON object: the status, and the ids of the records that came back, or else the body as text.
"""

import csv
import io
import json
import os
import sys
import tempfile
import zlib
from pathlib import Path

import duckdb
import pyarrow
import pyarrow.csv
import requests

NDJSON = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"


def post(url, content_type, body, **headers):
    session = requests.Session()
    session.trust_env = False
    headers = {"X-API-Key": os.environ["SYNCGUARD_API_KEY"], "Content-Type": content_type, **headers}
    return session.post(url, data=body, headers=headers, timeout=120)


def came_back(answer, content_type):
    """Whether the answer is records, and not a receipt or what a destination says."""
    return answer.ok and answer.headers.get("Content-Type", "").startswith(content_type)


def by_requests(url, file):
    def lines():
        with open(file, newline="") as rows:
            for row in csv.DictReader(rows):
                record = {"id": int(row["id"]), "name": row["name"], "country": row["country"] or None}
                yield json.dumps(record).encode() + b"\n"

    answer = post(url, NDJSON, lines())
    if came_back(answer, NDJSON):
        return answer, [json.loads(line)["id"] for line in answer.content.splitlines()]
    return answer, None


def by_requests_gzip(url, file):
    def pieces():
        packer = zlib.compressobj(wbits=31)
        with open(file, "rb") as rows:
            while piece := rows.read(1000):
                yield packer.compress(piece) or packer.flush(zlib.Z_SYNC_FLUSH)
        yield packer.flush()

    answer = post(url, "text/csv", pieces(), **{"Content-Encoding": "gzip"})
    if came_back(answer, "text/csv"):
        # requests undoes the coding that the answer declares.
        return answer, [int(row["id"]) for row in csv.DictReader(io.StringIO(answer.content.decode()))]
    return answer, None


def by_pyarrow(url, file):
    # As everywhere here, an empty field without quotes is NULL.
    options = pyarrow.csv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False)
    table = pyarrow.csv.read_csv(file, convert_options=options)

    def pieces():
        sink = io.BytesIO()

        def taken():
            piece = sink.getvalue()
            sink.seek(0)
            sink.truncate()
            return piece

        with pyarrow.ipc.new_stream(sink, table.schema) as writer:
            for batch in table.to_batches(max_chunksize=100):
                writer.write_batch(batch)
                yield taken()
        yield taken()

    answer = post(url, ARROW, pieces())
    if came_back(answer, ARROW):
        back = pyarrow.ipc.open_stream(answer.content).read_all()
        back.validate(full=True)
        assert back.schema.equals(table.schema), (back.schema, table.schema)
        return answer, back.column("id").to_pylist()
    return answer, None


def by_duckdb(url, file):
    with tempfile.TemporaryDirectory() as folder:
        sent, back = Path(folder) / "sent.parquet", Path(folder) / "back.parquet"
        database = duckdb.connect()
        database.execute(
            f"COPY (SELECT * FROM read_csv('{file}', header = true)) TO '{sent}' (FORMAT parquet)"
        )
        with open(sent, "rb") as body:
            answer = post(url, PARQUET, body)
        if came_back(answer, PARQUET):
            back.write_bytes(answer.content)
            return answer, [row[0] for row in database.execute(f"SELECT id FROM '{back}'").fetchall()]
        return answer, None


CLIENTS = {
    "requests": by_requests,
    "requests-gzip": by_requests_gzip,
    "pyarrow": by_pyarrow,
    "duckdb": by_duckdb,
}


def main():
    client, url, file = sys.argv[1:]
    answer, ids = CLIENTS[client](url, file)
    print(json.dumps({"status": answer.status_code, **({"body": answer.text} if ids is None else {"ids": ids})}))


if __name__ == "__main__":
    main()
