"""What Pipedrive's replies say.

`{success, data}` when all is well; otherwise `{success: false, error, code}`.
Limits are a burst within two seconds and a budget of tokens a day; after sustained excess
Cloudflare answers in front of the API, in HTML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import httpx

from app.connectors.classify import Reply, Rule, credential, document_of
from app.connectors.contact_fields import same_address
from app.domain.outcome import Outcome, rejected, throttle

_GONE = frozenset({404, 410})
_ID = re.compile(r"[0-9]{1,18}")
_KEY = re.compile(r"[0-9a-f]{40}")
_SECONDS = re.compile(r"[0-9]{1,5}")
#: What is left of the day's budget, under its present and its former name.
_DAILY = ("x-daily-ratelimit-token-remaining", "x-daily-requests-left")
_HOUR = 3600.0
_BLOCKED_SECONDS = 60.0


def is_id(text: str | None) -> bool:
    """True when `text` can be a person's id."""
    return text is not None and _ID.fullmatch(text) is not None


def is_gone(response: httpx.Response) -> bool:
    """True when the person is not there any more."""
    return response.status_code in _GONE


def data_of(response: httpx.Response) -> Mapping[str, Any]:
    """The `data` of a reply, empty when there is none."""
    document = document_of(response)
    data = document.get("data") if isinstance(document, Mapping) else None
    return data if isinstance(data, Mapping) else {}


def id_in(data: Mapping[str, Any]) -> str | None:
    """The `id` of a person or deal."""
    found = data.get("id")
    text = str(found) if isinstance(found, int | str) else None
    return text if is_id(text) else None


def person_with(response: httpx.Response, email: str) -> str | None:
    """The id of the oldest person that a search found with this address, None when there is none.

    Nothing makes addresses unique: of two persons, the same one is taken every time.
    """
    found = []
    for item in _items(response):
        addresses = item.get("emails")
        if isinstance(addresses, list) and not any(same_address(one, email) for one in addresses):
            continue
        identifier = id_in(item)
        if identifier:
            found.append(identifier)
    return min(found, key=int, default=None)


def titled(response: httpx.Response, title: str) -> bool:
    """True when a search found a deal of this title."""
    return any(item.get("title", title) == title for item in _items(response))


def field_keys(response: httpx.Response) -> dict[str, str]:
    """The key of each custom field, by its name: of a list of fields, or of the one just made."""
    document = document_of(response)
    told = document.get("data") if isinstance(document, Mapping) else None
    fields = told if isinstance(told, list) else [told]
    return {
        field["field_name"]: field["field_code"]
        for field in fields
        if isinstance(field, Mapping)
        and isinstance(field.get("field_name"), str)
        and _KEY.fullmatch(str(field.get("field_code")))
    }


def _items(response: httpx.Response) -> list[Mapping[str, Any]]:
    entries = data_of(response).get("items")
    if not isinstance(entries, list):
        return []
    items = [entry.get("item") for entry in entries if isinstance(entry, Mapping)]
    return [item for item in items if isinstance(item, Mapping)]


def _say_where_keys_are(reply: Reply) -> Outcome:
    return rejected(
        reply.reason("a custom field's key is wrong; Pipedrive lists them under personFields")
    )


def _names_custom_field(reply: Reply) -> bool:
    return "custom_fields" in reply.words


def _wait_for_window(reply: Reply) -> Outcome:
    if any(reply.header(name) == "0" for name in _DAILY):
        return throttle(reply.reason("the day's budget is used up"), _HOUR)
    reset = reply.header("x-ratelimit-reset")
    if _SECONDS.fullmatch(reset):
        return throttle(reply.reason(), float(reset))
    return throttle(reply.reason(), reply.wait)


def _blocked(reply: Reply) -> Outcome:
    return throttle(
        reply.reason("Cloudflare refused, not Pipedrive itself"), reply.wait or _BLOCKED_SECONDS
    )


RULES: tuple[Rule, ...] = (
    Rule({400}, _say_where_keys_are, _names_custom_field),
    # The account is closed or unpaid.
    Rule({402}, credential),
    Rule({403}, _blocked, lambda reply: reply.is_page),
    Rule({429}, _wait_for_window),
)
