"""The few pieces of Markdown that every page is made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_NOTICE = "<!-- Generated from the code by `make docs`; changes made here are lost. -->"


def page(title: str, *blocks: str) -> str:
    """A whole page: title, notice, blocks with an empty line between them."""
    return "\n\n".join([_NOTICE, f"# {title}", *(block.strip("\n") for block in blocks)]) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells may hold Markdown, line breaks and bars are taken care of."""
    lines = [_row(header), _row(["---"] * len(header)), *(_row(row) for row in rows)]
    return "\n".join(lines)


def code(text: str) -> str:
    """A span of code, or an empty text."""
    return f"`{text}`" if text else ""


def block(language: str, text: str) -> str:
    """A fenced block of code."""
    return f"```{language}\n{text.rstrip()}\n```"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
