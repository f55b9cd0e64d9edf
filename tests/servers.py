"""Real database servers that a test starts on a free port, stops, kills and starts again."""

import json
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import requests

START_S = 60.0
INFLUX_CONFIGURATION = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc_port}"
[meta]
  dir = "{root}/meta"
  logging-enabled = false
[data]
  dir = "{root}/data"
  wal-dir = "{root}/wal"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  auth-enabled = {auth}
  log-enabled = false
  https-enabled = {tls}
  https-certificate = "{root}/server.pem"
  https-private-key = "{root}/server.key"
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class DatabaseServer:
    """A server process; its data stay in `root` from one start to the next."""

    scheme = "http"

    def __init__(self, root: Path) -> None:
        self.root = root
        self.port = free_port()
        self.session = requests.Session()
        self.session.trust_env = False
        self._process: subprocess.Popen[bytes] | None = None
        root.mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def command(self) -> Sequence[str]:
        raise NotImplementedError

    def start(self) -> None:
        with (self.root / "log").open("ab") as log:
            self._process = subprocess.Popen(self.command(), stdout=log, stderr=log)
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            try:
                if self.session.get(f"{self.url}/ping", timeout=5).ok:
                    return
            except requests.RequestException:
                pass
            assert self._process.poll() is None, (self.root / "log").read_text()[-2_000:]
            time.sleep(0.05)
        raise AssertionError("the server did not start")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(timeout=START_S)
            self._process = None
        self.session.close()


class InfluxServer(DatabaseServer):
    """InfluxDB 1.x with a database `fabric`, and a user with a password if `auth`."""

    def __init__(self, root: Path, *, auth: bool = False, tls: bool = False) -> None:
        super().__init__(root)
        self.auth = auth
        self.scheme = "https" if tls else "http"
        self._configuration = root / "influxdb.conf"
        self._configuration.write_text(
            INFLUX_CONFIGURATION.format(
                root=root,
                port=self.port,
                rpc_port=free_port(),
                auth=str(auth).lower(),
                tls=str(tls).lower(),
            )
        )

    def command(self) -> Sequence[str]:
        return [_program("influxd", "influxdb"), "-config", str(self._configuration)]

    def prepare(self) -> None:
        if self.auth:
            self.ask("CREATE USER anna WITH PASSWORD 'tall: tree' WITH ALL PRIVILEGES")
        self.ask("CREATE DATABASE fabric")

    def ask(self, question: str) -> list[dict[str, Any]]:
        credentials = {"u": "anna", "p": "tall: tree"} if self.auth else {}
        answer = self.session.post(
            f"{self.url}/query",
            params={"db": "fabric", "epoch": "ns", **credentials},
            data={"q": question},
            timeout=60,
        )
        result = answer.json()["results"][0]
        assert "error" not in result, result
        series: list[dict[str, Any]] = result.get("series", [])
        return series

    def store(self, spool: Path, options: str = "") -> str:
        return f"influx://127.0.0.1:{self.port}/fabric?spool={spool}{options}"


class VictoriaServer(DatabaseServer):
    """VictoriaMetrics that counts a sample of one time and series once."""

    def command(self) -> Sequence[str]:
        return [
            _program("victoria-metrics", "victoria-metrics"),
            f"-storageDataPath={self.root}/data",
            f"-httpListenAddr=127.0.0.1:{self.port}",
            "-dedup.minScrapeInterval=1ms",
            "-retentionPeriod=100y",
            "-memory.allowedBytes=256MB",
        ]

    def export(self, match: str) -> list[dict[str, Any]]:
        """Return every series that `match` selects, with its values and times in ms."""
        self.session.get(f"{self.url}/internal/force_flush", timeout=60)
        answer = self.session.get(
            f"{self.url}/api/v1/export",
            params={"match[]": match, "start": "0", "reduce_mem_usage": "0"},
            timeout=60,
        )
        answer.raise_for_status()
        return [json.loads(line) for line in answer.text.splitlines()]

    def store(self, spool: Path, options: str = "") -> str:
        return f"influx://127.0.0.1:{self.port}/fabric?spool={spool}{options}"


def _program(name: str, package: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"needs {name} (Debian package {package}), which is not installed")
    return path
