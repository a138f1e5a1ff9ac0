"""The files of a SQLite database, as the ones they were when it was opened.

A file that is removed or replaced while it is open is still there for whoever has it open: SQLite
goes on writing into it, and after the last connection is closed nobody can read that any more.
Whoever acknowledges what was written must notice.
"""

from __future__ import annotations

import os
from typing import NamedTuple


class _File(NamedTuple):
    name: str
    device: int
    number: int


class OpenedFiles:
    """The database and its log, once they are open."""

    def __init__(self, path: str | None) -> None:
        named = path if path and path != ":memory:" and not path.startswith("file:") else None
        self._names = () if named is None else (named, f"{named}-wal")
        self._files: list[_File] = []

    def remember(self) -> None:
        """Take what the names stand for now; to be called inside the first transaction."""
        if not self._files:
            self._files = [found for name in self._names if (found := _found(name)) is not None]

    def require(self) -> None:
        """Raise OSError when a name does not stand any more for what was opened."""
        for file in self._files:
            if _found(file.name) != file:
                raise OSError(f"{file.name} was removed or replaced; restart the relay")


def _found(name: str) -> _File | None:
    try:
        found = os.stat(name)  # noqa: PTH116  it runs in every transaction, and a Path costs as much again
    except OSError:
        return None
    return _File(name, found.st_dev, found.st_ino)
