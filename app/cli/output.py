"""What the commands print: tables for people, JSON for scripts, one-time secrets so that nobody misses them.

Results go to standard output, everything about the run itself to standard error.
Much of what is printed was written by senders and destinations, so control characters are taken
out of it: a terminal obeys them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from app.domain import strict_json

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
#: A pipe or a file has no width: there no cell is folded.
_NO_FOLDING = 10_000
_NOTHING = "-"


def json(value: Any) -> None:
    """Print a value as one line of JSON, in ASCII escapes where the terminal knows no better."""
    line(strict_json.write(value).decode())


def line(text: str) -> None:
    """Print a line as it is, never wrapped: something to be copied or read by a program."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Print a sentence on standard output."""
    line(clean(text))


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str) -> None:
    """Print rows under their columns, or the sentence `empty` when there are none."""
    printed = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        printed.add_column(column, overflow="fold")
    for row in rows:
        printed.add_row(*(_cell(value) for value in row))
    if printed.row_count:
        _console().print(printed)
    else:
        say(empty)


def fields(pairs: Iterable[tuple[str, object]]) -> None:
    """Print names and values of one thing, one a line; absent values are left out."""
    printed = Table.grid(padding=(0, 2))
    printed.add_column(style="bold")
    printed.add_column(overflow="fold")
    for name, value in pairs:
        if value not in (None, ""):
            printed.add_row(name, _cell(value))
    _console().print(printed)


def secrets(pairs: Iterable[tuple[str, str | None]]) -> None:
    """Print credentials that were just made and are never shown again."""
    made = [(name, value) for name, value in pairs if value]
    if not made:
        return
    say("Keep this now; it is not shown again:")
    for name, value in made:
        line(f"  {name}: {value}")


def failure(text: str) -> None:
    """Print what went wrong, on standard error."""
    console = Console(stderr=True, width=None if sys.stderr.isatty() else _NO_FOLDING)
    console.print(Text(clean(text), style="red"), soft_wrap=True)


def clean(text: str) -> str:
    """The text without what a terminal would obey."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def progress_console() -> Console:
    """Where a bar is drawn: standard error, so that results can be piped on."""
    return Console(stderr=True)


def moment(value: datetime | None) -> str:
    """A time to the second, in UTC: `2026-11-23T19:09:31Z`."""
    return _NOTHING if value is None else strict_json.rfc3339(value.replace(microsecond=0))


def words(values: Iterable[str] | None, *, everything: str) -> str:
    """Names joined by commas; `everything` when none are named."""
    return ", ".join(values) if values else everything


def _console() -> Console:
    width = None if sys.stdout.isatty() else _NO_FOLDING
    return Console(width=width, highlight=False, markup=False, emoji=False)


def _cell(value: object) -> Text:
    if isinstance(value, datetime):
        return Text(moment(value))
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    return Text(_NOTHING if value in (None, "") else clean(str(value)))
