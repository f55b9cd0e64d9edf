"""A real software switch (Open vSwitch in userspace) that mirrors into tunnels and samples."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from wires import Cable, plugged_in

PROGRAMS = ("ovs-vswitchd", "ovsdb-server", "ovsdb-tool", "ovs-vsctl", "ovs-appctl")
SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
START_S = 30.0
NETWORK = "10.99.77"


class Switch:
    """Two ports with traffic, `left` and `right`, and a way out for mirrors: `mirrors`."""

    def __init__(self, root: Path, left: Cable, right: Cable, mirrors: Cable) -> None:
        self.left, self.right, self.mirrors = left, right, mirrors
        self._root = root
        number = os.getpid() % 100_000
        self._bridge, self._underlay = f"fsb{number}", f"fsu{number}"
        self._tunnels: list[str] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._environment = {
            **os.environ,
            "OVS_RUNDIR": str(root),
            "OVS_LOGDIR": str(root),
            "OVS_DBDIR": str(root),
        }

    def start(self) -> None:
        database = self._root / "conf.db"
        self._run("ovsdb-tool", "create", str(database), str(SCHEMA))
        self._start("ovsdb-server", str(database), f"--remote=punix:{self._root}/db.sock")
        self._wait(lambda: (self._root / "db.sock").exists())
        self.configure("--no-wait", "init")
        self._start("ovs-vswitchd", f"unix:{self._root}/db.sock", "--disable-system")
        for bridge, ports in (
            (self._bridge, (self.left.near, self.right.near)),
            (self._underlay, (self.mirrors.far,)),
        ):
            self.configure(
                *("add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev"),
                *(word for port in ports for word in ("--", "add-port", bridge, port)),
            )
        subprocess.run(
            ["ip", "address", "add", f"{NETWORK}.1/24", "dev", self._underlay], check=True
        )
        subprocess.run(["ip", "link", "set", self._underlay, "up"], check=True)
        address = Path(f"/sys/class/net/{self.mirrors.near}/address").read_text().strip()
        control = next(self._root.glob("ovs-vswitchd.*.ctl"))
        self._run(
            *("ovs-appctl", "-t", str(control), "tnl/neigh/set"),
            *(self._underlay, f"{NETWORK}.2", address),
        )

    def mirror(self, kind: str, key: int, *options: str) -> None:
        """Send a copy of every packet of the two ports into a tunnel."""
        port = f"fst{key}"
        self.configure(
            *("add-port", self._bridge, port, "--", "set", "interface", port, f"type={kind}"),
            *(f"options:remote_ip={NETWORK}.2", f"options:key={key}", *options),
        )
        selected = [f"--id=@p{place}" for place in range(2)]
        sources = (self.left.near, self.right.near)
        words: list[str] = []
        for place, source in enumerate(sources):
            words += ["--", selected[place], "get", "port", source]
        self.configure(
            *words,
            *("--", "--id=@out", "get", "port", port),
            *("--", "--id=@m", "create", "mirror", f"name=m{key}", "select_src_port=@p0,@p1"),
            *("output_port=@out", "--", "add", "bridge", self._bridge, "mirrors", "@m"),
        )

    def sample(self, port: int, *, rate: int) -> None:
        """Send sFlow to a UDP port of this host: counters each second, one packet in `rate`."""
        self.configure(
            *("--", "--id=@s", "create", "sflow", "agent=lo", f'target="127.0.0.1:{port}"'),
            *(f"sampling={rate}", "polling=1", "header=128"),
            *("--", "set", "bridge", self._bridge, "sflow=@s"),
        )

    def configure(self, *words: str) -> None:
        self._run("ovs-vsctl", "--timeout=30", f"--db=unix:{self._root}/db.sock", *words)

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
            process.wait(30)
        subprocess.run(["ip", "link", "del", self._underlay], stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "link", "del", self._bridge], stderr=subprocess.DEVNULL)

    def _run(self, *command: str) -> None:
        subprocess.run(command, env=self._environment, check=True, capture_output=True)

    def _start(self, program: str, *arguments: str) -> None:
        with (self._root / f"{program}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen(
                    [program, *arguments, "--pidfile", "-vsyslog:off"],
                    env=self._environment,
                    stdout=log,
                    stderr=log,
                )
            )

    def _wait(self, ready: object) -> None:
        end = time.monotonic() + START_S
        while not ready():  # type: ignore[operator]
            if time.monotonic() > end:
                raise TimeoutError("Open vSwitch did not start")
            time.sleep(0.05)


@contextmanager
def switched_on(root: Path) -> Iterator[Switch]:
    """Start the switch; skip the test where there is none."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing or not SCHEMA.exists():
        pytest.skip("needs Open vSwitch (Debian package openvswitch-switch)")
    if not Path("/dev/net/tun").exists():
        pytest.skip("needs /dev/net/tun, for the switch's own interfaces")
    with ExitStack() as stack:
        cables = [stack.enter_context(plugged_in(name)) for name in "lrm"]
        switch = Switch(root, *cables)
        stack.callback(switch.stop)
        switch.start()
        yield switch
