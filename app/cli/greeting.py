"""What `relay serve` says when it starts: where things are, and a line to paste."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from app import __version__
from app.cli import output, session
from app.domain.catalogue import CATALOGUE
from app.services.manage_sources import Source, SourceWithCredentials
from app.settings import Settings

#: The event of the `curl` line (its body is short), and of the later starts' line.
FIRST_EVENT = "customer_post_create"
NEXT_EVENT = "checkout_completed"
#: Settings without a secret in them, which a command in another terminal needs too.
_NEEDED = ("data_dir", "host", "port", "public_url")
#: Settings that hold a secret: they are named, never shown.
_SECRET = ("database_url", "secret_key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What this start found and made: the key and the credentials only when they are new."""

    admin_key: str | None
    made: SourceWithCredentials | None
    source: Source


def show(settings: Settings, start: Start) -> None:
    """Print the greeting on standard output."""
    for text in lines(settings, start):
        output.line(text)


def lines(settings: Settings, start: Start) -> list[str]:
    """The greeting, line by line."""
    url = settings.resolved_public_url
    facts = [
        ("overview", f"{url}/"),
        ("docs", f"{url}/docs" if settings.docs else None),
        ("database", session.database_name(settings)),
        ("worker", None if settings.embedded_worker else "not in here; `relay worker` delivers"),
        ("admin key", start.admin_key),
        ("source", f"{start.source.name} ({start.source.kind})"),
        ("ingest URL", start.source.ingest_url),
        ("token", start.made.token if start.made else None),
        ("signing secret", start.made.signing_secret if start.made else None),
    ]
    printed = [f"Lifecycle Relay {__version__} on {url}", ""]
    printed += [f"  {name + ':':<16}{value}" for name, value in facts if value]
    kept = ["the key"] if start.admin_key else []
    kept += ["the token", "the secret"] if start.made else []
    if kept:
        what = " and ".join(filter(None, [", ".join(kept[:-1]), kept[-1]]))
        they = "they are" if len(kept) > 1 else "it is"
        printed += ["", f"Keep {what} now; {they} not shown again."]
    return [*printed, "", *_next_step(settings, start), ""]


def curl(made: SourceWithCredentials) -> str:
    """A shell line that sends the source its first event: a real body of the catalogue."""
    url = f"{made.source.ingest_url}/{FIRST_EVENT}?{urlencode({'token': made.token or ''})}"
    # ASCII escapes: the line survives whatever the terminal's encoding is.
    body = json.dumps(dict(CATALOGUE[FIRST_EVENT].example), separators=(",", ":"))
    words = ["curl", "-sS", url, "-H", "Content-Type: application/json", "-d", body]
    return shlex.join(words)


def send(settings: Settings) -> str:
    """A shell line that sends an event to the relay that runs with these settings."""
    changed = {name: getattr(settings, name) for name in _NEEDED}
    default = Settings.model_fields
    variables = [
        f"RELAY_{name.upper()}={shlex.quote(str(value))}"
        for name, value in changed.items()
        if value != default[name].default
    ]
    return " ".join([*variables, program(), "send", NEXT_EVENT])


def program() -> str:
    """How this program is called from the folder it was started in."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m app"
    found = shutil.which(called.name)
    if found is not None and Path(found).resolve() == called.resolve():
        return called.name
    here = Path.cwd()
    short = called.relative_to(here) if called.is_relative_to(here) else called
    return shlex.quote(str(short))


def _next_step(settings: Settings, start: Start) -> list[str]:
    if start.made is not None:
        return ["Send it a first event:", "", f"  {curl(start.made)}"]
    wanted = [f"RELAY_{name.upper()}" for name in _SECRET if getattr(settings, name)]
    same = f" (with the same {' and '.join(wanted)})" if wanted else ""
    return [f"Send it an event, in another terminal{same}:", "", f"  {send(settings)}"]
