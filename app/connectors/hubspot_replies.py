"""What HubSpot's replies say.

Errors are `{status, message, correlationId, category, errors: [{message, code, context}]}`, and
every field of that is optional.
A 429 names the quota that ran out in `policyName` and does not promise a Retry-After.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import httpx

from app.connectors.classify import Reply, Rule, document_of
from app.connectors.wording import presentable
from app.domain.outcome import Outcome, rejected, retry, throttle

NOT_FOUND = 404
CONFLICT = 409
_BAD_REQUEST = 400
_LONGEST_REFUSAL = 4096
_EXISTING_ID = re.compile(r"Existing ID:\s*(\d{1,32})", re.IGNORECASE)
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_QUOTED = re.compile(r"Property \"?([a-z][a-z0-9_]*)\"? does not exist", re.IGNORECASE)
_HOUR = 3600.0
#: HubSpot locks a contact for about as long as another write takes; it asks for two seconds.
_LOCK_SECONDS = 2.0
_MIGRATION_SECONDS = 60.0
_ROLLING_SECONDS = 10.0
_INTERVAL = re.compile(r"[0-9]{1,7}")


def is_id(text: str | None) -> bool:
    """True when `text` can stand in a path as a contact's id."""
    return text is not None and _ID.fullmatch(text) is not None


def contact_id(response: httpx.Response) -> str | None:
    """The `id` of the contact in a 200 or 201, None when the reply holds none."""
    document = document_of(response)
    found = document.get("id") if isinstance(document, Mapping) else None
    text = str(found) if isinstance(found, str | int) else None
    return text if is_id(text) else None


def existing_id(response: httpx.Response) -> str | None:
    """The id in "Contact already exists. Existing ID: 51", wherever in the refusal it stands."""
    found = _EXISTING_ID.search(response.content[:_LONGEST_REFUSAL].decode("utf-8", "replace"))
    return found[1] if found else None


def unknown_properties(response: httpx.Response) -> list[str]:
    """The properties a 400 says the account does not have, each once."""
    if response.status_code != _BAD_REQUEST:
        return []
    return _unknown_in(document_of(response))


def _unknown_in(document: Any) -> list[str]:
    found: dict[str, None] = {}
    for error in errors_in(document):
        if error.get("code") != "PROPERTY_DOESNT_EXIST":
            continue
        context = error.get("context")
        named = context.get("propertyName") if isinstance(context, Mapping) else None
        if not isinstance(named, list):
            named = _QUOTED.findall(str(error.get("message", "")))
        found |= dict.fromkeys(name for name in named if isinstance(name, str))
    return list(found)


def errors_in(document: Any) -> Iterator[Mapping[str, Any]]:
    """The single errors of a refusal, or of a batch that was carried out in part."""
    if isinstance(document, Mapping):
        errors = document.get("errors")
        if isinstance(errors, list):
            yield from (error for error in errors if isinstance(error, Mapping))


def refused_item(error: Mapping[str, Any], *, was_new: bool) -> Outcome:
    """What one error of a batch that was carried out in part means for its contact.

    `was_new` is true when the contact was to be made: then a conflict is a lost race.
    """
    category = str(error.get("category", ""))
    said = presentable(f"{category}: {error.get('message', '')}")
    if category == "OBJECT_NOT_FOUND":
        gone = retry("The contact is gone from HubSpot; it is looked for by its address next time.")
        return replace(gone, forget_id=True)
    if category == "RATE_LIMITS":
        return throttle(f"HubSpot put the contact off: {said}")
    if category == "LOCKED" or (category == "CONFLICT" and was_new):
        return retry(f"HubSpot put the contact off: {said}")
    return rejected(f"HubSpot refused the contact: {said}")


def _lacks_property(reply: Reply) -> bool:
    return bool(_unknown_in(reply.document))


def _say_what_lacks(reply: Reply) -> Outcome:
    names = ", ".join(_unknown_in(reply.document))[:200]
    return rejected(
        reply.reason(
            f"the account has no contact property {names}; create it there, map other fields, or"
            ' set on_unknown_property to "drop"'
        )
    )


def _say_who_has_it(reply: Reply) -> Outcome:
    return rejected(reply.reason("another contact has this address; merge the two in HubSpot"))


def _wait_for_window(reply: Reply) -> Outcome:
    document = reply.document if isinstance(reply.document, Mapping) else {}
    policy = str(document.get("policyName", "")).upper()
    if policy == "DAILY" or reply.header("x-hubspot-ratelimit-daily-remaining") == "0":
        return throttle(reply.reason(), max(_HOUR, reply.wait or 0.0))
    if policy == "SECONDLY":
        return throttle(reply.reason(), reply.wait or 1.0)
    interval = reply.header("x-hubspot-ratelimit-interval-milliseconds")
    if _INTERVAL.fullmatch(interval):
        return throttle(reply.reason(), int(interval) / 1000)
    return throttle(reply.reason(), reply.wait or _ROLLING_SECONDS)


RULES: tuple[Rule, ...] = (
    Rule({_BAD_REQUEST}, _say_what_lacks, _lacks_property),
    Rule({CONFLICT}, _say_who_has_it),
    Rule({423}, lambda reply: retry(reply.reason(), max(_LOCK_SECONDS, reply.wait or 0.0))),
    Rule({429}, _wait_for_window),
    Rule({477}, lambda reply: throttle(reply.reason(), reply.wait or _MIGRATION_SECONDS)),
)
