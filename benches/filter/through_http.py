#!/usr/bin/env python3
"""Records through the server: how fast, at what cost, and in how much memory.

    ~/.cache/syncguard/bench-tools/bin/python benches/filter/through_http.py target/release/syncguard
    ... --only guard --rounds 1 --gigabytes 10      # the memory of a long stream

The server works on one core, the client and whatever else there is on another. A few customers
make the model; then, in turns,
- `process`: `syncguard filter` over the same bytes from a file, on the server's core;
- `guard`: POST .../guard with chunks of 256 KiB, the answer read at the same time;
- `echo`: the same to a bare hyper server that answers with what it gets;
- `guard, no policy`: to a destination type that no policy governs, which is what `echo` is the
  measure of;
- `proxy, no policy`, `proxy`: /proxy/... with bodies of a known length, to a sink on the client's
  core, and
- `bare proxy`: the same through a bare hyper proxy.

Throughput is the bytes sent over the time to the end of the answer; `cpu_s_per_gb` is what the
server's process used. Both are medians over the rounds; the ratios are of the same round. There is
no bare hyper server to install, so it is a bench of this package (`benches/yardstick.rs`).
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import run
import server
from policies import DESTINATION, MODEL, POLICIES, write_pack

CHUNK = 256 << 10


def send_all(connection, *parts):
    parts = [memoryview(part) for part in parts if len(part)]
    while parts:
        sent = connection.sendmsg(parts)
        while parts and sent >= len(parts[0]):
            sent -= len(parts.pop(0))
        if parts:
            parts[0] = parts[0][sent:]


def exchange(port, path, key, records, repeats):
    """Sends the records so many times as one chunked body while it reads the answer. Answers the
    seconds, the bytes of the answer, and its last bytes."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
        "Content-Type: application/x-ndjson\r\nTE: trailers\r\nConnection: close, TE\r\n"
        "Transfer-Encoding: chunked\r\n\r\n"
    )
    view = memoryview(records)
    chunks = [view[at : at + CHUNK] for at in range(0, len(view), CHUNK)]
    started = time.monotonic()
    sender = os.fork()
    if sender == 0:
        # The answer is read by the parent. Whoever is refused stops sending.
        try:
            send_all(connection, head.encode())
            for _ in range(repeats):
                for chunk in chunks:
                    send_all(connection, b"%x\r\n" % len(chunk), chunk, b"\r\n")
            send_all(connection, b"0\r\n\r\n")
            os._exit(0)
        except OSError:
            os._exit(1)
    buffer, first, last, received = bytearray(1 << 20), b"", b"", 0
    while count := connection.recv_into(buffer):
        received += count
        if len(first) < 512:
            first += bytes(buffer[: min(count, 512)])
        last = (last + bytes(buffer[max(0, count - 512) : count]))[-512:]
    seconds = time.monotonic() - started
    _, status = os.waitpid(sender, 0)
    connection.close()
    if not first.startswith(b"HTTP/1.1 200") or status != 0:
        raise SystemExit(f"{path}: {first[:512].decode(errors='replace')}")
    if not last.endswith(b"\r\n\r\n"):
        raise SystemExit(f"{path}: the answer has no end")
    return seconds, received, last.rpartition(b"\r\n0\r\n")[2]


def post(port, path, key, body, repeats):
    """Sends the body in so many requests on one connection."""
    connection = socket.create_connection(("127.0.0.1", port))
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/x-ndjson\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    started = time.monotonic()
    for _ in range(repeats):
        send_all(connection, head, body)
        answer = b""
        while not answer.endswith(b"\n"):
            if not (some := connection.recv(65536)):
                raise SystemExit(f"{path}: {answer.decode(errors='replace')}")
            answer += some
            if b"\r\n\r\n" in answer and not answer.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"{path}: {answer.decode(errors='replace')}")
    connection.close()
    return time.monotonic() - started


class Bench:
    def __init__(self, arguments, records):
        self.arguments = arguments
        self.records = records
        self.repeats = max(1, round(arguments.gigabytes * 1e9 / len(records)))
        self.bytes = len(records) * self.repeats
        self.results = {}

    def note(self, name, seconds, cpu, memory, text=""):
        row = (self.bytes / seconds / 1e6, cpu / (self.bytes / 1e9), memory / 2**20)
        self.results.setdefault(name, []).append(row)
        speed, cost, peak = row
        print(
            f"{name:18} {speed:8.0f} MB/s  {cost:6.3f} cpu_s_per_gb  {peak:6.1f} MiB  {text}",
            flush=True,
        )

    def measured(self, name, of, work):
        of.forget_memory()
        before = of.cpu()
        seconds, text = work()
        self.note(name, seconds, of.cpu() - before, of.peak_memory(), text)

    def stream(self, name, of, path, key=""):
        def work():
            seconds, received, trailers = exchange(of.port, path, key, self.records, self.repeats)
            fields = trailers.decode(errors="replace").split("\r\n")
            return seconds, f"{received / 1e6:.0f} MB back  " + " ".join(f for f in fields if f)

        self.measured(name, of, work)

    def requests(self, name, of, path, key=""):
        # As long as a body may be that is held as a whole.
        body = self.records[: self.records.rfind(b"\n", 0, 32 << 20) + 1]
        repeats = max(1, round(self.bytes / len(body)))
        self.measured(
            name,
            of,
            lambda: (
                post(of.port, path, key, body, repeats) * self.bytes / (len(body) * repeats),
                f"{repeats} requests of {len(body) / 1e6:.0f} MB",
            ),
        )

    def process(self, path, rules):
        arguments = self.arguments
        argv = [arguments.syncguard, "filter", "--rules", rules, "--model", MODEL]
        argv += ["--destination", DESTINATION, "--format", "ndjson"]
        usages = [
            run.run(run.Command(argv, path, path.with_suffix(".out")), arguments.core)
            for _ in range(self.repeats)
        ]
        wall, cpu = sum(u.wall for u in usages), sum(u.cpu for u in usages)
        self.note("process", wall, cpu, max(u.rss for u in usages))

    def ratio(self, name, to):
        if name in self.results and to in self.results:
            pairs = list(zip(self.results[name], self.results[to]))
            speed = statistics.median(a[0] / b[0] for a, b in pairs)
            cost = statistics.median(b[1] / a[1] if a[1] else 0 for a, b in pairs)
            print(f"{name} to {to}: {speed:.2f} of its throughput, {cost:.2f} by CPU")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("syncguard")
    parser.add_argument("--yardstick", help="its binary; built by cargo where absent")
    parser.add_argument("--gigabytes", type=float, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--policy", choices=POLICIES, default="not_in")
    parser.add_argument("--core", type=int, default=0, help="of the server")
    parser.add_argument("--client-core", type=int, default=1)
    parser.add_argument("--cache", default="~/.cache/syncguard/bench")
    parser.add_argument("--rows", type=int, default=200_000, help="that are sent again and again")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=["process", "guard", "free", "echo", "proxy"],
        default=["process", "guard", "free", "echo", "proxy"],
    )
    parser.add_argument(
        "--serve-argument", action="append", default=[], help="for syncguard serve; repeatable"
    )
    arguments = parser.parse_args()
    only = set(arguments.only)
    yardstick = run.yardstick(arguments.yardstick)
    policy = POLICIES[arguments.policy]
    folder = Path(arguments.cache).expanduser() / f"http-{arguments.rows}"
    rules = folder / "rules" / policy.name
    write_pack(policy, rules)
    path = folder / "all.ndjson"
    if not path.exists():
        command = [yardstick, "customers", "ndjson", str(arguments.rows)]
        path.write_bytes(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    records = path.read_bytes()
    os.sched_setaffinity(0, {arguments.client_core})
    bench = Bench(arguments, records)
    with (
        server.Syncguard(arguments.syncguard, arguments.core, arguments.serve_argument) as guard,
        server.Server([yardstick, "echo"], arguments.core) as echo,
        server.Server([yardstick, "sink"], arguments.client_core) as sink,
        server.Server(
            [yardstick, "proxy", f"127.0.0.1:{sink.port}"], arguments.core
        ) as proxy,
    ):
        sample = b"".join(line + b"\n" for line in records.split(b"\n", 1_000)[:1_000])
        guard.set_up(sample)
        guard.govern(policy)
        paths = {}
        if "proxy" in only:
            paths = {governed: guard.proxy_path(governed, sink.port) for governed in (False, True)}
        for _ in range(arguments.rounds):
            if "process" in only:
                bench.process(path, rules)
            if "guard" in only:
                bench.stream("guard", guard, guard.guard_path(True), guard.key)
            if "free" in only:
                bench.stream("guard, no policy", guard, guard.guard_path(False), guard.key)
            if "echo" in only:
                bench.stream("echo", echo, "/")
            if "proxy" in only:
                bench.requests("proxy", guard, paths[True], guard.key)
                bench.requests("proxy, no policy", guard, paths[False], guard.key)
                bench.requests("bare proxy", proxy, "/")
    for name, to in [
        ("guard", "process"),
        ("guard, no policy", "echo"),
        ("proxy, no policy", "bare proxy"),
        ("proxy", "bare proxy"),
    ]:
        bench.ratio(name, to)


if __name__ == "__main__":
    sys.exit(main())
