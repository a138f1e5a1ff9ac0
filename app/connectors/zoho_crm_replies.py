"""What Zoho CRM's replies say.

A write answers `{"data": [{code, status, message, details}]}`, one entry for each record, in
order; any HTTP status may carry failures in it, 200 too.
What concerns the whole request is `{code, status, message, details}` by itself.
Facts: zoho.com/crm/developer, API v8, Status Codes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import httpx

from app.connectors.classify import Reply, Rule, credential, document_of
from app.connectors.wording import presentable
from app.domain.outcome import Outcome, auth_failed, delivered, rejected, retry, throttle

_ID = re.compile(r"[0-9]{10,20}")
_HOUR = 3600.0
#: Zoho hands out ten tokens in ten minutes.
_TOKEN_WINDOW = 600.0
_PASSING = frozenset({"INTERNAL_ERROR", "RECORD_LOCKED"})
_THROTTLED = frozenset({"TOO_MANY_REQUESTS", "LIMIT_EXCEEDED"})
_RIGHTS = frozenset(
    {"NO_PERMISSION", "OAUTH_SCOPE_MISMATCH", "AUTHORIZATION_FAILED", "INVALID_MODULE"}
)
_GONE_WORDS = "the id given seems to be invalid"
_TRIES_AGAIN = "The record is gone from Zoho; it is looked for by its address the next time."


def is_id(text: str | None) -> bool:
    """True when `text` can be a record's id."""
    return text is not None and _ID.fullmatch(text) is not None


def found_id(response: httpx.Response) -> str | None:
    """The id of the first record of a search; Zoho answers 204 when there is none."""
    entries = _entries(response)
    return _id_in(entries[0]) if entries else None


def results(response: httpx.Response, count: int) -> Sequence[Outcome] | None:
    """One outcome for each record of a write, in order; None when the reply does not match."""
    entries = _entries(response)
    return [_result(entry) for entry in entries] if len(entries) == count else None


def _entries(response: httpx.Response) -> list[Any]:
    document = document_of(response)
    entries = document.get("data") if isinstance(document, Mapping) else None
    return entries if isinstance(entries, list) else []


def _result(entry: Any) -> Outcome:
    if not isinstance(entry, Mapping):
        return retry("Zoho answered well, but not what became of the record.")
    details = entry.get("details")
    if entry.get("status") == "success":
        return delivered(_id_in(details))
    code, message = str(entry.get("code")), str(entry.get("message", ""))
    if _GONE_WORDS in message or _name_in(details) == "id":
        return replace(retry(_TRIES_AGAIN), forget_id=True)
    said = presentable(f"{code}: {message}{_place(details)}")
    return _by_code(code, f"Zoho refused the record: {said}")


def _by_code(code: str, reason: str) -> Outcome:
    if code in _PASSING:
        return retry(reason)
    if code in _THROTTLED:
        return throttle(reason)
    if code in _RIGHTS:
        return auth_failed(reason)
    if code == "DUPLICATE_DATA":
        return rejected(f"{reason}; another record has this value: merge the two in Zoho")
    return rejected(reason)


def _id_in(details: Any) -> str | None:
    found = details.get("id") if isinstance(details, Mapping) else None
    text = str(found) if isinstance(found, str | int) else None
    return text if is_id(text) else None


def _name_in(details: Any) -> str:
    return str(details.get("api_name", "")) if isinstance(details, Mapping) else ""


def _place(details: Any) -> str:
    name = _name_in(details)
    return f" ({name})" if name else ""


def _code(reply: Reply) -> str:
    return str(reply.document.get("code")) if isinstance(reply.document, Mapping) else ""


def _wait_for_credits(reply: Reply) -> Outcome:
    if reply.header("x-api-credits-remaining") == "0":
        return throttle(reply.reason("the day's credits are used up"), _HOUR)
    return throttle(reply.reason(), reply.wait)


RULES: tuple[Rule, ...] = (
    Rule({400}, credential, lambda reply: _code(reply) in _RIGHTS),
    Rule({429}, _wait_for_credits),
)
#: Too many tokens were asked for; the credentials are good.
TOKEN_RULES: tuple[Rule, ...] = (
    Rule(
        {200, 400},
        lambda reply: throttle(reply.reason(), _TOKEN_WINDOW),
        lambda reply: b"too many requests" in reply.response.content[:4096].lower(),
    ),
)
