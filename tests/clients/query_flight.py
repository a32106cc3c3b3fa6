#!/usr/bin/env python3
"""pyarrow.flight with Flight SQL's messages written by hand; SYNCGUARD_FLIGHT, SYNCGUARD_EMAIL and
SYNCGUARD_API_KEY tell where and who. SYNCGUARD_OTHER_KEY is somebody else's key.

Prints one JSON object: `rows` of everything, and what is `refused`: a wrong key, a ticket in the
other's hands, and one that was changed.
"""

import json
import os

import pyarrow
from pyarrow import flight

from query_cases import ALL, arrow_texts


def field(number, payload):
    """A field of a protobuf message that holds bytes."""
    length, size = b"", len(payload)
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + payload


def command(name, *fields):
    """A message of Flight SQL in a google.protobuf.Any."""
    kind = f"type.googleapis.com/arrow.flight.protocol.sql.{name}"
    return field(1, kind.encode()) + field(2, b"".join(fields))


def options(*headers):
    return flight.FlightCallOptions(headers=[*headers, (b"database", b"default")], timeout=60)


def bearer(key):
    return options((b"authorization", f"Bearer {key}".encode()))


def refused(ask):
    try:
        ask()
        return None
    except (flight.FlightError, pyarrow.ArrowException, KeyError) as error:
        return [type(error).__name__, str(error)]


def main():
    key = os.environ["SYNCGUARD_API_KEY"]
    email = os.environ["SYNCGUARD_EMAIL"]
    other = bearer(os.environ["SYNCGUARD_OTHER_KEY"])
    query = flight.FlightDescriptor.for_command(command("CommandStatementQuery", field(1, ALL.encode())))
    client = flight.connect(os.environ["SYNCGUARD_FLIGHT"])

    greeted = options(client.authenticate_basic_token(email, key))
    info = client.get_flight_info(query, greeted)
    ticket = info.endpoints[0].ticket
    table = client.do_get(ticket, greeted).read_all()
    assert table.schema.equals(info.schema), (table.schema, info.schema)
    again = client.do_get(ticket, bearer(key)).read_all()

    changed = bytearray(ticket.ticket)
    changed[-1] ^= 1
    changed = flight.Ticket(bytes(changed))
    answer = {
        "rows": {"after a handshake": arrow_texts(table), "with a token": arrow_texts(again)},
        "refused": {
            "a handshake with a wrong key": refused(lambda: client.authenticate_basic_token(email, key + "x")),
            "a handshake of nobody": refused(lambda: client.authenticate_basic_token("nobody@example.com", key)),
            "no key": refused(lambda: client.get_flight_info(query, options())),
            "a ticket of somebody else": refused(lambda: client.do_get(ticket, other).read_all()),
            "a ticket that was changed": refused(lambda: client.do_get(changed, greeted).read_all()),
        },
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
