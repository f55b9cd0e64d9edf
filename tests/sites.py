"""The live site on a free port, in a thread of the tests, over a store of theirs."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from fabricscope.dashboard.app import create_app
from fabricscope.dashboard.site import NoStore, SiteConfig
from fabricscope.store import Store
from fabricscope.topology.fabric import Fabric

START_S = 30.0


@contextmanager
def serving(
    store: Store | None = None,
    fabric: Fabric | None = None,
    config: SiteConfig | None = None,
    port: int = 0,
) -> Iterator[str]:
    """Serve the site; give its address, `http://127.0.0.1:PORT`. port: 0 for a free one."""
    app = create_app(store or NoStore(), fabric, config or SiteConfig())
    listener = socket.create_server(("127.0.0.1", port))
    server = uvicorn.Server(
        uvicorn.Config(app.server, log_level="warning", access_log=False, lifespan="on",
                       timeout_graceful_shutdown=1)
    )  # fmt: skip
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    until = time.monotonic() + START_S
    while not server.started and time.monotonic() < until:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(START_S)
        listener.close()
