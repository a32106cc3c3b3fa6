"""The texts of data that does not belong to this repository, where somebody has it."""

import csv
import sqlite3

from .positives import entry

# The columns of the Chinook shop that hold something personal, by table.
PERSONAL = {
    "Customer": {"FirstName": "person_name", "LastName": "person_name", "Address": "postal_address",
                 "Phone": "phone", "Fax": "phone", "Email": "email"},
    "Employee": {"FirstName": "person_name", "LastName": "person_name", "Address": "postal_address",
                 "Phone": "phone", "Fax": "phone", "Email": "email", "BirthDate": "date_of_birth"},
    "Invoice": {"BillingAddress": "postal_address"},
}
# Composers and artists are people, but not all of them are.
PERHAPS = {("Track", "Composer"): ["person_name"], ("Artist", "Name"): ["person_name"]}


def retail(path):
    """Each column's distinct values of the invoice lines."""
    seen = {}
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        for row in csv.DictReader(file):
            for column, value in row.items():
                if value and (column, value) not in seen:
                    seen[column, value] = True
                    yield entry(value, column, [])


def chinook(path):
    """Each column's distinct values of each table."""
    database = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    tables = [name for (name,) in database.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")]
    for table in tables:
        columns = [row[1] for row in database.execute(f'PRAGMA table_info("{table}")')]
        for column in columns:
            label = PERSONAL.get(table, {}).get(column)
            values = database.execute(
                f'SELECT DISTINCT CAST("{column}" AS TEXT) FROM "{table}" WHERE "{column}" IS NOT NULL ORDER BY 1')
            for (value,) in values:
                yield entry(value, column, [label] if label else [], PERHAPS.get((table, column), ()))
    database.close()
