"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

#: For scripts: the same as the table, as JSON.
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
#: How much of a long list.
Limit = Annotated[int, typer.Option(min=1, max=200, help="How many, the newest first.")]
