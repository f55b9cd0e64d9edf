import os
import subprocess
import sys
from pathlib import Path

import pytest

from fabricscope.cli.live_rights import become, check_user
from fabricscope.errors import ConfigError


def run(code: str, repository: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(repository / "src")}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment
    )


@pytest.mark.root
def test_root_is_given_up_for_good(repository: Path) -> None:
    done = run(
        "import os; from fabricscope.cli.live_rights import give_up_rights; "
        "give_up_rights('nobody'); print(os.getresuid(), os.getresgid(), os.getgroups()); "
        "print([line for line in open('/proc/self/status') if 'CapEff' in line]); os.setuid(0)",
        repository,
    )
    said, capabilities = done.stdout.splitlines()
    assert said == "(65534, 65534, 65534) (65534, 65534, 65534) []"
    assert "0000000000000000" in capabilities
    assert "Operation not permitted" in done.stderr


@pytest.mark.root
def test_capabilities_of_others_are_given_up(repository: Path) -> None:
    """A service with CAP_NET_RAW of its own keeps it until the ports are open, and no longer."""
    code = (
        "import ctypes, os; from fabricscope.cli.live_rights import give_up_capabilities; "
        "libc = ctypes.CDLL(None); libc.prctl(8, 1, 0, 0, 0); os.setgid(65534); os.setuid(65534); "
        "header = (ctypes.c_uint32 * 2)(0x20080522, 0); raw = 1 << 13; "
        "sets = (ctypes.c_uint32 * 6)(raw, raw, 0); libc.capset(header, sets); "
        "caps = lambda: [l.split()[1] for l in open('/proc/self/status') if 'CapEff' in l]; "
        "print(*caps()); give_up_capabilities(); print(*caps())"
    )
    done = run(code, repository)
    assert done.stdout.split() == ["0000000000002000", "0000000000000000"], done.stderr


@pytest.mark.root
def test_an_unknown_user_is_refused() -> None:
    with pytest.raises(ConfigError, match="there is no such user"):
        become("nobody-of-that-name")


def test_only_root_becomes_somebody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1_000)
    with pytest.raises(ConfigError, match="only root can become another user"):
        check_user("nobody")
