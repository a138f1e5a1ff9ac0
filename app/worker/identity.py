"""Who a worker is, and whether another one on this host is still alive."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def identity() -> str:
    """`host:pid:start`, unique also when the system uses a pid again."""
    pid = os.getpid()
    return f"{socket.gethostname()[:60]}:{pid}:{_started(pid)}"


def is_gone(owner: str) -> bool:
    """True when `owner` ran on this host and does not run any more."""
    host, _, rest = owner.rpartition(":")[0].rpartition(":")
    if host != socket.gethostname()[:60] or not rest.isdigit():
        return False
    pid = int(rest)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return _started(pid) != owner.rpartition(":")[2]


def _started(pid: int) -> str:
    # The 22nd field of /proc/<pid>/stat; the second one, the name, may contain spaces.
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "0"
    return stat.rpartition(")")[2].split()[19]
