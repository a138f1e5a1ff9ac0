"""What Brevo's replies say.

Errors are `{code, message}`; a 429 says in `x-sib-ratelimit-reset` how many seconds to wait.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import httpx

from app.connectors.classify import Reply, Rule, credential, document_of
from app.connectors.contact_fields import same_address
from app.domain.outcome import Outcome, throttle

NOT_FOUND = 404
_ID = re.compile(r"[1-9][0-9]{0,17}")
_RESET = re.compile(r"[0-9]{1,6}")
_UNDER_VALIDATION = "account_under_validation"


@dataclass(frozen=True, slots=True)
class Found:
    """A contact as it stands; `left_lists` are those its owner unsubscribed from."""

    id: str
    email: Any
    blocked: bool
    lists: frozenset[int]
    left_lists: frozenset[int]

    def has(self, email: str) -> bool:
        """True when this is the contact's address."""
        return same_address(self.email, email)


def is_id(text: str | None) -> TypeGuard[str]:
    """True when `text` can stand in a path as a contact's id."""
    return text is not None and _ID.fullmatch(text) is not None


def contact_id(response: httpx.Response) -> str | None:
    """The id in the reply, None when it holds none."""
    found = _member(document_of(response), "id") if response.is_success else None
    text = str(found) if isinstance(found, str | int) else None
    return text if is_id(text) else None


def found_in(response: httpx.Response) -> Found | None:
    """The contact that was asked for, None when the reply holds none."""
    identifier = contact_id(response)
    if identifier is None:
        return None
    document = document_of(response)
    return Found(
        identifier,
        _member(document, "email"),
        # Whoever is not said to be free counts as blocked.
        _member(document, "emailBlacklisted") is not False,
        _numbers(_member(document, "listIds")),
        _numbers(_member(document, "listUnsubscribed")),
    )


def attribute_types(response: httpx.Response) -> dict[str, str]:
    """The type of each attribute of contacts, by its name."""
    told = _member(document_of(response), "attributes")
    return {
        str(one.get("name")): str(one.get("type", one.get("category")))
        for one in (told if isinstance(told, list) else ())
        if isinstance(one, Mapping)
    }


def is_duplicate(response: httpx.Response) -> bool:
    """True when something of the name is there already."""
    return bool(_member(document_of(response), "code") == "duplicate_parameter")


def _member(document: Any, name: str) -> Any:
    return document.get(name) if isinstance(document, Mapping) else None


def _numbers(told: Any) -> frozenset[int]:
    return (
        frozenset(one for one in told if isinstance(one, int))
        if isinstance(told, list)
        else frozenset()
    )


def _wait_for_reset(reply: Reply) -> Outcome:
    reset = reply.header("x-sib-ratelimit-reset")
    return throttle(reply.reason(), float(reset) if _RESET.fullmatch(reset) else reply.wait)


RULES: tuple[Rule, ...] = (
    Rule({402}, credential),
    Rule(
        {400, 403}, credential, lambda reply: _member(reply.document, "code") == _UNDER_VALIDATION
    ),
    Rule({429}, _wait_for_reset),
)
