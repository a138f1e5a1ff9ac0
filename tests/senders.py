"""Bodies as vendors send them (invented data), and requests made of them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.domain import strict_json
from app.domain.errors import Unauthorized
from app.domain.model import RawRequest, Reading
from app.sources.authentication import authenticate
from app.sources.base import Credentials, SourceAdapter
from app.sources.registry import adapter_for

FOLDER = Path(__file__).parent / "fixtures" / "senders"
#: 2026-11-23T19:17:43Z in seconds since 1970.
NOW = 1_795_461_463
RECEIVED_AT = datetime.fromtimestamp(NOW, UTC)


def sample_body(name: str) -> bytes:
    """The bytes of `<name>.json`."""
    return (FOLDER / f"{name}.json").read_bytes()


def sample(name: str, **changes: Any) -> Any:
    """The document in `<name>.json`, with some members of its top level changed."""
    document = strict_json.read_strict(sample_body(name))
    return {**document, **changes} if isinstance(document, dict) else document


def stripe_sample(name: str, **changes: Any) -> Any:
    """The Stripe event `<name>` with members of its object changed."""
    document = sample(f"stripe-{name}")
    document["data"]["object"] |= changes
    return document


def request(
    body: bytes = b"body",
    headers: dict[str, str] | None = None,
    event_type: str | None = None,
    **others: Any,
) -> RawRequest:
    return RawRequest(
        headers=headers or {}, body=body, received_at=RECEIVED_AT, event_type=event_type, **others
    )


def read(
    adapter: SourceAdapter | str,
    document: Any,
    headers: dict[str, str] | None = None,
    event_type: str | None = None,
    **others: Any,
) -> Reading:
    """What an adapter makes of a document."""
    known = adapter_for(adapter) if isinstance(adapter, str) else adapter
    body = strict_json.write(document)
    asked = request(body, headers, event_type, **others)
    return known.read(asked, strict_json.read_strict(body))


def passes(adapter: SourceAdapter, asked: RawRequest, *secrets: str, now: int = NOW) -> bool:
    """Whether a request gets in with these secrets at the source."""
    keys = tuple(adapter.signing_key(secret) for secret in secrets)
    try:
        authenticate(adapter, asked, Credentials(signing_secrets=keys), now)
    except Unauthorized:
        return False
    return True
