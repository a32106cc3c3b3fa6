"""What the clients of queries ask, and their answers as text, the same from each of them."""

import datetime
import decimal
import os

import pyarrow

# Nothing between a client and the server of the test.
for name in ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy"):
    os.environ.pop(name, None)
    os.environ.pop(name.upper(), None)

ALL = "SELECT * FROM kinds ORDER BY id"
NAME = "O'Neil \"Ace\" \\ ünï 漢字,\n2nd\tline"

# Conditions, with the place of the parameter, and its value.
CONDITIONS = {
    "int": ("number = {}", 7),
    "text": ('"Full Name" = {}', NAME),
    "float": ("ratio < {}", 0.5),
    "date": ("day = {}", datetime.date(2024, 2, 29)),
    "moment": ("instant >= {}", datetime.datetime(2024, 6, 1, tzinfo=datetime.timezone.utc)),
    "bool": ("ok = {}", True),
    "null": ("region = {}", None),
}

FAULTS = {
    "syntax": "SELEC 1",
    "table": "SELECT * FROM nothing",
    "column": "SELECT nothing FROM kinds",
    "division": "SELECT 1 / (id - id) FROM kinds",
    "cast": 'SELECT CAST("Full Name" AS BIGINT) FROM kinds',
    "write": "DELETE FROM kinds",
}


def found_sql(condition, place):
    """A statement that finds ids, with the parameter written in the client's way."""
    return f"SELECT id FROM kinds WHERE {condition.format(place)} ORDER BY id"


def text(value):
    """A value as text; None is NULL."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    return str(value)


def texts(rows):
    return [[text(value) for value in row] for row in rows]


def arrow_texts(table):
    """The rows of an Arrow table."""
    columns = []
    for column in table.columns:
        if pyarrow.types.is_timestamp(column.type):
            # The same moments, without the need of a database of time zones.
            column = column.cast(pyarrow.timestamp("us"))
        columns.append(column.to_pylist())
    return texts(zip(*columns))


def tables(objects):
    """The tables of what ADBC's drivers tell of a database, with the names of their columns."""
    return sorted(
        [
            catalog["catalog_name"],
            schema["db_schema_name"],
            table["table_name"],
            [column["column_name"] for column in table["table_columns"]],
        ]
        for catalog in objects.read_all().to_pylist()
        for schema in catalog["catalog_db_schemas"] or []
        for table in schema["db_schema_tables"] or []
    )
