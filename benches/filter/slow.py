#!/usr/bin/env python3
"""What ten thousand clients that never finish their request do to another client.

    ~/.cache/syncguard/bench-tools/bin/python benches/filter/slow.py target/release/syncguard

Each of them sends half of a request's head and then nothing; when the server hangs up, another one
takes its place. With and without them, in turns, one client asks `GET /livez` again and again: on
one connection, and now and then on a new one. That lasts longer than the server lets a head take,
so that the slow ones are thrown out and come again meanwhile. Reported are the medians of its p50
and p99 over the rounds, and the ratio with to without in the same round.

The server works on one core, all clients on another. Server and clients need a limit of open files
above their number: `ulimit -Hn`.
"""

import argparse
import os
import select
import signal
import socket
import statistics
import sys
import time

import server

HALF = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
WHOLE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


def hold(port, count, report):
    """Keeps so many half-open connections; writes a byte when all of them stand."""
    poll = select.epoll()
    held = {}

    def open_one():
        connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        connection.sendall(HALF)
        connection.setblocking(False)
        held[connection.fileno()] = connection
        poll.register(connection.fileno(), select.EPOLLIN | select.EPOLLHUP)

    while len(held) < count:
        open_one()
    os.write(report, b"!")
    while True:
        for number, _ in poll.poll(0.1):
            try:
                if held[number].recv(4096):
                    continue
            except OSError:
                pass
            poll.unregister(number)
            held.pop(number).close()
            # A server that refuses them has them come again, but not at once.
            try:
                open_one()
            except OSError:
                time.sleep(0.01)
        while len(held) < count:
            try:
                open_one()
            except OSError:
                break


def ask(connection):
    started = time.perf_counter()
    connection.sendall(WHOLE)
    answer = connection.recv(65536)
    if not answer.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"GET /livez: {answer[:200]!r}")
    return time.perf_counter() - started


def percentiles(times):
    times.sort()
    at = lambda share: times[min(len(times) - 1, int(len(times) * share))] * 1e3
    return at(0.5), at(0.99)


def measure(port, seconds):
    """p50 and p99 in milliseconds, on one connection and on new ones."""
    kept, fresh = [], []
    deadline = time.monotonic() + seconds
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while time.monotonic() < deadline:
            kept.extend(ask(connection) for _ in range(20))
            started = time.perf_counter()
            with socket.create_connection(("127.0.0.1", port)) as another:
                ask(another)
            fresh.append(time.perf_counter() - started)
    return {"kept": percentiles(kept), "fresh": percentiles(fresh)}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("syncguard")
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument(
        "--seconds", type=float, default=15, help="of each measurement (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--core", type=int, default=0, help="of the server")
    parser.add_argument("--client-core", type=int, default=1)
    parser.add_argument(
        "--serve-argument", action="append", default=[], help="for syncguard serve; repeatable"
    )
    arguments = parser.parse_args()
    most = server.allow_many_files()
    if most < arguments.connections + 200:
        raise SystemExit(f"only {most} files may be open: raise `ulimit -Hn`")
    os.sched_setaffinity(0, {arguments.client_core})
    rounds = []
    with server.Syncguard(arguments.syncguard, arguments.core, arguments.serve_argument) as guard:
        measure(guard.port, arguments.seconds)
        for _ in range(arguments.rounds):
            without = measure(guard.port, arguments.seconds)
            ready, report = os.pipe()
            holder = os.fork()
            if holder == 0:
                try:
                    hold(guard.port, arguments.connections, report)
                finally:
                    os._exit(1)
            os.close(report)
            try:
                if os.read(ready, 1) != b"!":
                    raise SystemExit("the connections cannot be held")
                files = len(os.listdir(f"/proc/{guard.process.pid}/fd"))
                memory = guard.peak_memory() / 2**20
                among = measure(guard.port, arguments.seconds)
            finally:
                os.kill(holder, signal.SIGKILL)
                os.waitpid(holder, 0)
                os.close(ready)
            rounds.append((without, among))
            # Until the server has seen them go.
            deadline = time.monotonic() + 30
            while len(os.listdir(f"/proc/{guard.process.pid}/fd")) > 200:
                if time.monotonic() > deadline:
                    raise SystemExit("the server keeps connections whose clients are gone")
                time.sleep(0.05)
            print(f"{files} files open in the server, peak memory {memory:.0f} MiB", flush=True)
    for kind in ["kept", "fresh"]:
        for i, name in enumerate(["p50", "p99"]):
            pairs = [(without[kind][i], among[kind][i]) for without, among in rounds]
            without, among = (statistics.median(values) for values in zip(*pairs))
            ratio = statistics.median(b / a for a, b in pairs)
            print(
                f"{kind:5} {name}: {without:.3f} ms without, {among:.3f} ms among"
                f" {arguments.connections}, ratio {ratio:.2f}"
            )


if __name__ == "__main__":
    sys.exit(main())
