"""Who a worker is, and whether another one in this place is still alive.

A host's name says nothing about the place: machines made from one image, containers that are given
a name, and those in the host's network all share one.
Where a process can be looked for by its number is one boot of one kernel, in one PID namespace.
"""

from __future__ import annotations

import functools
import hashlib
import os
import socket
from pathlib import Path

_UNKNOWN = "0"
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")


def identity() -> str:
    """`host:pid:start:place`, unique also when the system uses a pid again; the host is for people."""
    pid = os.getpid()
    return f"{socket.gethostname()[:60]}:{pid}:{_started(pid)}:{_place()}"


def is_gone(owner: str) -> bool:
    """True when `owner` ran in this place and does not run any more; False when that is not known."""
    _, _, rest = owner.partition(":")
    pid, _, begun = rest.partition(":")
    started, _, place = begun.partition(":")
    if not pid.isdigit() or place in {"", _UNKNOWN} or place != _place():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    # Of another user's process the start may be hidden.
    return _started(int(pid)) not in {_UNKNOWN, started}


@functools.cache
def _place() -> str:
    try:
        boot, namespace = _BOOT.read_text(encoding="ascii"), _NAMESPACE.readlink()
    except OSError:
        return _UNKNOWN
    return hashlib.sha256(f"{boot} {namespace}".encode()).hexdigest()[:16]


def _started(pid: int) -> str:
    # The 22nd field of /proc/<pid>/stat; the second one, the name, may contain spaces.
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return _UNKNOWN
    return stat.rpartition(")")[2].split()[19]
