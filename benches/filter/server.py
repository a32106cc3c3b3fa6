"""A server to measure: syncguard with a model and policies of its own, or a yardstick."""

import http.client
import json
import os
import resource
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from policies import DESTINATION, SCHEMA, UNGOVERNED

TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def allow_many_files():
    """As many open files as may be, here and in what is started."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Server:
    """A process on one core. Its port is in `port`; it ends with the `with`."""

    def __init__(self, argv, core, env=None, port=None):
        self.process = subprocess.Popen(
            ["taskset", "-c", str(core), *map(str, argv)],
            env=os.environ | (env or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if port is None else subprocess.DEVNULL,
        )
        self.port = port or int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def cpu(self):
        """CPU seconds so far."""
        text = Path(f"/proc/{self.process.pid}/stat").read_text()
        user, system = text.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / TICKS

    def peak_memory(self):
        """Bytes, since `forget_memory`."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise SystemExit("the kernel tells no peak memory")

    def forget_memory(self):
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")


class Syncguard(Server):
    """`syncguard serve` with a fresh data folder, and the model `customers` in it."""

    def __init__(self, binary, core, arguments=()):
        self.folder = Path(tempfile.mkdtemp(prefix="syncguard-bench-"))
        self.key = secrets.token_urlsafe(24)
        port = free_port()
        env = {
            "SYNCGUARD_BOOTSTRAP_KEY": self.key,
            "SYNCGUARD_DATA_DIR": str(self.folder),
            "SYNCGUARD_LISTEN": f"127.0.0.1:{port}",
            "SYNCGUARD_ALLOW_PRIVATE_ADDRESSES": "127.0.0.0/8",
            "SYNCGUARD_REQUESTS_PER_SECOND": "1000000",
            "SYNCGUARD_LOG": "warn",
        }
        super().__init__([binary, "serve", *arguments], core, env, port)
        self.wait_until_ready()

    def __exit__(self, *error):
        super().__exit__(*error)
        shutil.rmtree(self.folder, ignore_errors=True)

    def wait_until_ready(self):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    return
            except OSError:
                time.sleep(0.05)
        raise SystemExit("the server does not become ready")

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {text.decode()}")
        return json.loads(text)

    def set_up(self, sample):
        """Makes the model of a few customers as NDJSON."""
        (self.folder / "files" / "customers.ndjson").write_bytes(sample)
        me = self.call("GET", "/api/v1/me")
        self.workspace_id = me["workspaces"][0]["id"]
        self.base = f"/api/v1/workspaces/{self.workspace_id}"
        config = {"path": "customers.ndjson"}
        source = self.call(
            "POST",
            f"{self.base}/sources",
            {"name": "customers", "type": "files", "config": config},
        )
        casts = {"date": "CAST({0} AS DATE) AS {0}", "timestamp": "CAST({0} AS TIMESTAMP) AS {0}"}
        fields = ", ".join(casts.get(type_, "{0}").format(name) for name, type_ in SCHEMA.items())
        model = self.call(
            "POST",
            f"{self.base}/models",
            {
                "name": "customers",
                "source_id": source["id"],
                "primary_key": ["id"],
                "sql": f"SELECT {fields} FROM files",
            },
        )
        self.model_id = model["id"]

    def govern(self, policy):
        """Puts a policy in force for the governed destination type. Answers how to take it out."""
        rule = self.call(
            "POST",
            f"{self.base}/destination-rules",
            {
                "name": policy.name,
                "description": "",
                "parent_model_id": self.model_id,
                "destination_type": DESTINATION,
                "filter_tree": policy.tree(),
                "enabled": True,
            },
        )
        path = f"{self.base}/destination-rules/{rule['id']}"
        # An answer without a body is no JSON.
        return lambda: self.delete(path)

    def delete(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("DELETE", path, headers={"Authorization": f"Bearer {self.key}"})
        if (status := connection.getresponse().status) >= 300:
            raise SystemExit(f"DELETE {path}: {status}")

    def guard_path(self, governed):
        kind = DESTINATION if governed else UNGOVERNED
        return f"{self.base}/models/{self.model_id}/guard?destination_type={kind}"

    def proxy_path(self, governed, port):
        """Makes a destination at a port of this machine."""
        destination = self.call(
            "POST",
            f"{self.base}/destinations",
            {
                "name": f"sink {governed}",
                "type": DESTINATION if governed else UNGOVERNED,
                "config": {
                    "url": f"http://127.0.0.1:{port}/",
                    "proxy": {"model_id": self.model_id, "records": {"body": True}},
                },
            },
        )
        return f"/proxy/{self.workspace_id}/{destination['id']}/records"
