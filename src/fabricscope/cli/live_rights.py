"""Giving up what opening the ports needed: root, and the capabilities of those who are not root."""

import ctypes
import os
import pwd
from typing import Final

from fabricscope.errors import ConfigError

__all__ = ["become", "check_user", "give_up_capabilities", "give_up_rights"]

_CAPABILITY_VERSION: Final = 0x2008_0522
_AMBIENT: Final = 47
_CLEAR_ALL: Final = 4


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


def check_user(name: str) -> pwd.struct_passwd:
    """Return the entry of a user. Raises ConfigError for an unknown one, or without root."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise ConfigError(f"--user {name}: there is no such user on this host") from None
    if os.geteuid() != 0:
        raise ConfigError(f"--user {name}: only root can become another user; leave it out")
    return entry


def become(name: str) -> None:
    """Give up root for good, capabilities with it. Raises ConfigError as `check_user` does."""
    entry = check_user(name)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    os.environ["HOME"] = entry.pw_dir


def give_up_capabilities() -> None:
    """Drop the capabilities of a process that is not root, such as CAP_NET_RAW, for good."""
    if os.geteuid() == 0:
        return
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(_AMBIENT, _CLEAR_ALL, 0, 0, 0)
    header = _Header(_CAPABILITY_VERSION, 0)
    nothing = (ctypes.c_uint32 * 6)()
    library.capset(ctypes.byref(header), ctypes.byref(nothing))


def give_up_rights(user: str) -> None:
    """Become `user`, if there is one to become, and keep no capability."""
    if user:
        become(user)
    give_up_capabilities()
