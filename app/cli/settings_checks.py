"""Whether the settings make sense together: what no validator can refuse, but nobody means."""

from __future__ import annotations

import difflib
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from app.cli.finding import Finding, State
from app.settings import Settings

_CHECK = "settings"
#: Where the generated master key lives, inside the data directory.
KEY_FILE = "secret.key"


def sanity(settings: Settings, named: Iterable[str]) -> list[Finding]:
    """What is odd about the settings and the variables `named`; one `ok` when nothing is."""
    found = [
        *_unknown_names(named),
        *_public_url(settings),
        *_key_file(settings),
        *_worker(settings),
    ]
    if all(finding.state is State.OK for finding in found):
        found.insert(0, Finding(_CHECK, State.OK, f"{settings.environment}, nothing odd"))
    return found


def _unknown_names(named: Iterable[str]) -> Iterator[Finding]:
    known = {f"RELAY_{name}".upper() for name in Settings.model_fields}
    for name in sorted({name.upper() for name in named}):
        if name.startswith("RELAY_") and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            advice = f"Is {near[0]} meant?" if near else "Remove it; docs/settings.md lists all."
            yield Finding(_CHECK, State.WARNING, f"{name} is no setting", advice)


def _public_url(settings: Settings) -> Iterator[Finding]:
    everywhere = settings.host in {"0.0.0.0", "::"}  # noqa: S104  compared, not bound
    if not settings.public_url and (everywhere or settings.environment == "production"):
        yield Finding(
            _CHECK,
            State.WARNING,
            f"ingest URLs are shown with {settings.resolved_public_url}",
            "Set RELAY_PUBLIC_URL to the address that senders use.",
        )


def _key_file(settings: Settings) -> Iterator[Finding]:
    path: Path = settings.data_dir / KEY_FILE
    if settings.secret_key is not None or not path.exists():
        return
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield Finding(
            _CHECK,
            State.WARNING,
            f"others than its owner may read {path}",
            f"chmod 600 {path}",
        )


def _worker(settings: Settings) -> Iterator[Finding]:
    if not settings.embedded_worker:
        yield Finding("worker", State.OK, "not inside `relay serve`; `relay worker` must run")
