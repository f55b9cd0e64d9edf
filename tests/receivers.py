"""Local servers that take alerts: a web server with chosen answers, and Debian's Alertmanager."""

import json
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from servers import free_port


class WebServer:
    """What was posted, in order; `statuses`: answers, the last one again and again."""

    def __init__(self, statuses: list[int]) -> None:
        self.statuses = statuses
        self.bodies: list[bytes] = []
        self.paths: list[str] = []
        self.url = ""

    def wait_for(self, count: int, seconds: float = 20) -> list[Any]:
        """Return the bodies as JSON once there are so many requests."""
        end = time.monotonic() + seconds
        while len(self.bodies) < count and time.monotonic() < end:
            time.sleep(0.01)
        assert len(self.bodies) >= count, f"{len(self.bodies)} of {count} requests came"
        return [json.loads(body) for body in self.bodies]


@contextmanager
def web_server(*statuses: int, port: int = 0) -> Iterator[WebServer]:
    """Serve until the context ends, on any port that is free unless one is given."""
    state = WebServer(list(statuses) or [200])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            state.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            state.paths.append(self.path)
            answers = state.statuses
            status = answers.pop(0) if len(answers) > 1 else answers[0]
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def alertmanager(folder: Path) -> Iterator[str]:
    """Run Debian's Alertmanager until the context ends; its URL."""
    program = shutil.which("prometheus-alertmanager")
    if program is None:
        pytest.skip("needs Alertmanager (Debian package prometheus-alertmanager)")
    config = folder / "alertmanager.yml"
    config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        program,
        f"--config.file={config}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--cluster.listen-address=",
    ]
    with (folder / "alertmanager.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _wait_until_ready(f"{url}/-/ready", process)
            yield url
        finally:
            process.terminate()
            process.wait(20)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        assert process.poll() is None, "Alertmanager ended"
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("Alertmanager does not become ready")


def get_json(url: str) -> Any:
    """Return the answer to a GET."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)
