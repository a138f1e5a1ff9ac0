"""Dataclasses that never change, made as fast as any.

`record` is `dataclass` to the type checker, which refuses an assignment to a field of a frozen one.
At run time the class is not frozen: the standard library sets every field of a frozen dataclass
through `object.__setattr__`, which makes an event's twenty objects three to four times as dear, and
an event passes through here thousands of times a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["record"]

if TYPE_CHECKING:
    from dataclasses import dataclass as record
else:
    from collections.abc import Callable
    from dataclasses import dataclass

    def record(*, frozen: bool, **options: Any) -> Callable[[type], type]:
        """The decorator; `frozen` must be said, for the type checker to see it."""
        if not frozen:
            raise TypeError("a record is frozen; use dataclass for what changes")
        # Equal records have equal hashes, as those of a frozen dataclass.
        return dataclass(unsafe_hash=options.get("eq", True), **options)
