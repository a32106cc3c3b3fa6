#!/usr/bin/env python3
"""`syncguard filter` against the tools that people use for this, as whole processes.

    python3 -m venv ~/.cache/syncguard/bench-tools
    ~/.cache/syncguard/bench-tools/bin/pip install -r benches/filter/requirements.txt
    apt-get install jq
    cargo build --release
    ~/.cache/syncguard/bench-tools/bin/python benches/filter/run.py target/release/syncguard

Two million customers (`benches/customers/mod.rs`, about 300 bytes and 15 fields each) are written
once, in every format, into the cache folder, and a policy pack for each policy.

What is measured is CPU seconds (user and system, as the kernel accounts for a finished process
and those it waited for), everything on one core, input and output files in the cache folder. The
tools take turns with syncguard: A B A B ..., and the ratio of each pair counts, so that a machine
whose speed drifts does not decide. Reported are the medians over the rounds. Before that, each
tool runs once and must write as many records as syncguard, or as the policy in Python says
(`--reference`, which needs no syncguard).

Besides other tools syncguard is compared with
- `floor`: a program that reads lines, searches each for the policy's keys, and writes as many as
  syncguard does, without validating or deciding (`benches/yardstick.rs`);
- `syncguard:POLICY`: itself with another policy, for the cost of many conditions.

`jq`, and with many conditions those that extract from raw lines, are slow: they run on the first
tenth of the records, and so does syncguard beside them.

`ratio` is the tool's CPU to syncguard's with all that belongs to a process; `net_ratio` is the same
without what either needs for a thousand records, which is mostly for starting.

`--rss` reports the peak memory of `syncguard filter` alone, for every format.

The kernel counts what the forking process had as memory of the new one: this one imports nothing
large, so only figures below its own 20 MB are not to be trusted.
"""

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import policies
from policies import DESTINATION, MODEL, POLICIES

HERE = Path(__file__).resolve().parent
# The tenth that slow tools run on, and the few records that tell what starting costs.
SHARE = 10
FEW = 1_000
# Input and output format of each kind.
KINDS = {
    "ndjson": ("ndjson", "ndjson"),
    "csv": ("csv", "csv"),
    "arrow": ("arrow", "arrow"),
    "parquet": ("parquet", "parquet"),
    "parquet-arrow": ("parquet", "arrow"),
}
TOOLS = {
    "ndjson": [
        "floor",
        "syncguard:or_1",
        "grep",
        "jq",
        "duckdb",
        "duckdb_lines",
        "polars",
        "datafusion",
        "chdb",
        "chdb_lines",
        "chdb_simple",
    ],
    "csv": ["chdb", "duckdb", "polars", "datafusion"],
    "arrow": ["pyarrow"],
    "parquet": ["duckdb", "polars", "datafusion"],
    "parquet-arrow": ["datafusion"],
}


@dataclass
class Usage:
    cpu: float
    wall: float
    rss: int


@dataclass
class Command:
    argv: list
    stdin: Path | None = None
    stdout: Path | None = None
    env: dict = field(default_factory=dict)
    # Beside 0.
    exits: tuple = ()


def run(command, core):
    """Runs a command to its end on one core. Its standard error goes through."""
    stdin = open(command.stdin, "rb") if command.stdin else subprocess.DEVNULL
    stdout = open(command.stdout, "wb") if command.stdout else subprocess.DEVNULL
    started = time.monotonic()
    process = subprocess.Popen(
        ["taskset", "-c", str(core), *map(str, command.argv)],
        stdin=stdin,
        stdout=stdout,
        env=os.environ | command.env,
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    for file in (stdin, stdout):
        if file != subprocess.DEVNULL:
            file.close()
    if process.returncode != 0 and process.returncode not in command.exits:
        raise SystemExit(f"{shlex.join(map(str, command.argv))}: exit {process.returncode}")
    return Usage(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * 1024)


def yardstick(path):
    """The program of benches/yardstick.rs, built where it is not given."""
    if path:
        return Path(path).resolve()
    built = subprocess.run(
        "cargo bench --profile dev --bench yardstick --no-run --message-format json".split(),
        cwd=HERE.parent.parent,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    for line in built.stdout.splitlines():
        message = json.loads(line)
        if message.get("target", {}).get("name") == "yardstick" and message.get("executable"):
            return Path(message["executable"])
    raise SystemExit("cargo names no executable for the bench yardstick")


class Rig:
    """The files, and the commands over them."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.syncguard = Path(arguments.syncguard).resolve() if arguments.syncguard else None
        self.folder = Path(arguments.cache).expanduser() / str(arguments.rows)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.yardstick = yardstick(arguments.yardstick)
        self.prepare()

    def prepare(self):
        for policy in POLICIES.values():
            policies.write_pack(policy, self.rules(policy))
        rows = self.arguments.rows
        for format_ in ["ndjson", "csv"]:
            for share, count in [(1, rows), (SHARE, rows // SHARE), (0, FEW)]:
                self.make(
                    self.input(format_, share),
                    lambda path: Command(
                        [self.yardstick, "customers", format_, count], stdout=path
                    ),
                )
        for format_ in ["arrow", "parquet"]:
            for share in [1, 0]:
                self.make(
                    self.input(format_, share),
                    lambda path: self.python("convert", format_, "-", self.input("csv", share), path),
                )

    def make(self, path, command):
        """Runs a command that makes a file, unless it is there."""
        if not path.exists():
            print(f"making {path}", file=sys.stderr)
            part = path.with_suffix(".part")
            run(command(part), self.arguments.core)
            part.rename(path)

    def input(self, format_, share):
        name = {1: "all", SHARE: "tenth", 0: "few"}[share]
        return self.folder / f"{name}.{format_}"

    def output(self, name, format_):
        return self.folder / f"out-{name.replace(':', '-')}.{format_}"

    def rules(self, policy):
        return self.folder / "rules" / policy.name

    def python(self, tool, kind, policy, source, target):
        return Command(
            [sys.executable, HERE / "tools.py", tool, kind, policy, source, target],
            env={"POLARS_MAX_THREADS": "1", "TOKIO_WORKER_THREADS": "1"},
        )

    def filter(self, kind, policy, share, name="syncguard"):
        source, target = KINDS[kind]
        formats = self.arguments.formats.format(source=source, target=target)
        argv = [self.syncguard, "filter", "--rules", self.rules(policy), "--model", MODEL]
        argv += ["--destination", DESTINATION, *shlex.split(formats)]
        return Command(argv, self.input(source, share), self.output(name, target))

    def command(self, tool, kind, policy, share, permille):
        source = self.input(KINDS[kind][0], share)
        target = self.output(tool, KINDS[kind][1])
        if tool.startswith("syncguard:"):
            return self.filter(kind, POLICIES[tool.split(":")[1]], share, tool)
        if tool == "floor":
            argv = [self.yardstick, "floor", permille, *policy.columns]
            return Command(argv, source, target)
        if tool == "jq":
            return Command(["jq", "-c", policy.jq()], source, target)
        if tool == "grep":
            return Command(["sh", "-c", policy.grep()], source, target, {"LC_ALL": "C"})
        target.unlink(missing_ok=True)
        return self.python(tool, kind, policy.name, source, target)

    def rows(self, path):
        """How many records a file holds."""
        kind = path.suffix[1:]
        if kind in ("arrow", "parquet"):
            argv = [sys.executable, HERE / "tools.py", "count", kind, "-", path, "-"]
            return int(subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout)
        with open(path, "rb") as file:
            lines = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
        return lines - (kind == "csv")

    def reference(self, policy, share):
        """How many records pass, by the policy in Python."""
        with open(self.input("ndjson", share), "rb") as file:
            return sum(policy.holds(json.loads(line)) for line in file)


def compare(rig, kind, policy, tool):
    """One tool beside syncguard, in pairs. Answers a row of the report."""
    arguments = rig.arguments
    many = len(policy.conditions) > 4
    share = SHARE if tool == "jq" or many and tool in ("duckdb_lines", "chdb_lines") else 1
    rows = arguments.rows // share
    if arguments.reference:
        expected = rig.reference(policy, share)
    else:
        command = rig.filter(kind, policy, share)
        run(command, arguments.core)
        expected = rig.rows(command.stdout)
    theirs = rig.command(tool, kind, policy, share, round(expected * 1000 / rows))
    ours = None if arguments.reference else rig.filter(kind, policy, share)
    run(theirs, arguments.core)
    target = rig.output(tool, KINDS[kind][1])
    written = rig.rows(target)
    if written != expected and tool != "floor" and not tool.startswith("syncguard:"):
        raise SystemExit(f"{kind} {policy.name}: {tool} wrote {written} records, not {expected}")
    few = [rig.command(tool, kind, policy, 0, round(expected * 1000 / rows))]
    if ours:
        few.append(rig.filter(kind, policy, 0))
    start = [statistics.median(run(c, arguments.core).cpu for _ in range(3)) for c in few]
    # Its output was deleted with the command made anew.
    theirs = rig.command(tool, kind, policy, share, round(expected * 1000 / rows))
    pairs = []
    for _ in range(arguments.rounds):
        us = run(ours, arguments.core) if ours else None
        them = run(theirs, arguments.core)
        pairs.append((us, them))
    target.unlink()
    middle = lambda values: round(statistics.median(values), 3)
    row = {
        "kind": kind,
        "policy": policy.name,
        "tool": tool,
        "records": rows,
        "passing": expected,
        "tool_cpu_s": middle(them.cpu for _, them in pairs),
        "tool_wall_s": middle(them.wall for _, them in pairs),
        "tool_start_s": round(start[0], 3),
    }
    if ours:
        ratios = sorted(them.cpu / us.cpu for us, them in pairs)
        row |= {
            "syncguard_cpu_s": middle(us.cpu for us, _ in pairs),
            "syncguard_wall_s": middle(us.wall for us, _ in pairs),
            "syncguard_rss_mib": round(max(us.rss for us, _ in pairs) / 2**20, 1),
            "ratio": middle(ratios),
            "ratio_min": round(ratios[0], 3),
            "ratio_max": round(ratios[-1], 3),
            "net_ratio": middle(
                (them.cpu - start[0]) / (us.cpu - start[1] or 1e-9) for us, them in pairs
            ),
            "mb_per_cpu_s": round(
                rig.input(KINDS[kind][0], share).stat().st_size
                / statistics.median(us.cpu for us, _ in pairs)
                / 1e6
            ),
        }
    return row


def memory(rig):
    """The peak memory of syncguard alone."""
    for kind in kinds(rig):
        for name in rig.arguments.policies:
            command = rig.filter(kind, POLICIES[name], 1)
            usages = [run(command, rig.arguments.core) for _ in range(rig.arguments.rounds)]
            yield {
                "kind": kind,
                "policy": name,
                "records": rig.arguments.rows,
                "syncguard_rss_mib": round(max(usage.rss for usage in usages) / 2**20, 1),
                "syncguard_cpu_s": round(statistics.median(u.cpu for u in usages), 3),
            }


def kinds(rig):
    """Those that syncguard has: it writes the format that it reads, unless it is told another."""
    two = rig.arguments.reference or "{target}" in rig.arguments.formats
    return [k for k in rig.arguments.kinds if two or KINDS[k][0] == KINDS[k][1]]


def comparisons(rig):
    for kind in kinds(rig):
        for name in rig.arguments.policies:
            for tool in TOOLS[kind]:
                itself = tool.startswith("syncguard:")
                if itself and (not name.startswith("or_") or rig.arguments.reference):
                    continue
                if itself and tool.endswith(f":{name}"):
                    continue
                if rig.arguments.tools and tool not in rig.arguments.tools:
                    continue
                yield compare(rig, kind, POLICIES[name], tool)


def report(rows, out):
    widths = None
    for row in rows:
        if widths is None:
            widths = {name: max(len(name), len(str(row[name])) + 6) for name in row}
            print("  ".join(name.rjust(width) for name, width in widths.items()))
        print("  ".join(str(row[name]).rjust(width) for name, width in widths.items()), flush=True)
        if out:
            out.write(json.dumps(row) + "\n")
            out.flush()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("syncguard", nargs="?", help="the binary to measure")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument(
        "--policies",
        nargs="+",
        choices=POLICIES,
        default=list(POLICIES),
        help="default: all",
    )
    parser.add_argument("--tools", nargs="+", help="default: all")
    parser.add_argument("--yardstick", help="its binary; built by cargo where absent")
    parser.add_argument("--cache", default="~/.cache/syncguard/bench")
    parser.add_argument(
        "--formats",
        default="--format {source}",
        help="how syncguard filter is told the formats; {source} and {target} stand for their names"
        " (default: %(default)r)",
    )
    parser.add_argument("--rss", action="store_true", help="only the peak memory of syncguard")
    parser.add_argument(
        "--reference", action="store_true", help="without syncguard: only check and time the others"
    )
    parser.add_argument("--json", type=Path, help="file to which each row is added")
    arguments = parser.parse_args()
    if not arguments.syncguard and not arguments.reference:
        parser.error("name the binary, or give --reference")
    for program in ["taskset", "jq", "grep"]:
        if not shutil.which(program):
            parser.error(f"{program} is not installed")
    rig = Rig(arguments)
    rows = memory(rig) if arguments.rss else comparisons(rig)
    out = open(arguments.json, "a") if arguments.json else None
    report(rows, out)


if __name__ == "__main__":
    main()
