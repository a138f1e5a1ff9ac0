"""What FluentCRM and the WordPress in front of it say.

Errors are WordPress's `{code, message, data: {status}}`, or FluentCRM's `{message}` and
`{field: {rule: sentence}}`.
Sentences are translated into the site's language, so they decide nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import httpx

from app.connectors.classify import Reply, Rule, document_of, passing
from app.connectors.contact_fields import same_address
from app.domain.outcome import Outcome, auth_failed, rejected

UNPROCESSABLE = 422
_NOT_FOUND = 404
_NOT_ACCEPTABLE = 406
_ID = re.compile(r"[1-9][0-9]{0,17}")
#: WordPress has no such route: the plugin is switched off, or too old.
_NO_ROUTE = "rest_no_route"


@dataclass(frozen=True, slots=True)
class Found:
    """A contact as it stands; `custom_values` and `tags` are None when FluentCRM did not tell."""

    id: str
    columns: Mapping[str, Any]
    custom_values: Mapping[str, Any] | None
    tags: frozenset[int] | None

    def has(self, email: str) -> bool:
        """True when this is the contact's address."""
        return same_address(self.columns.get("email"), email)


def is_id(text: str | None) -> TypeGuard[str]:
    """True when `text` can stand in a path as a contact's id."""
    return text is not None and _ID.fullmatch(text) is not None


def found_in(response: httpx.Response) -> Found | None:
    """The contact that was asked for, None when the reply holds none."""
    subscriber = _part(response, "subscriber")
    identifier = _id_of(subscriber)
    if identifier is None:
        return None
    return Found(
        identifier,
        subscriber,
        _custom_values(subscriber.get("custom_values")),
        _tags(subscriber.get("tags")),
    )


def contact_id(response: httpx.Response) -> str | None:
    """The id of the contact that was written, None when the reply holds none."""
    return _id_of(_part(response, "contact"))


def is_absent(response: httpx.Response) -> bool:
    """True when the contact that was asked for is not there: 422 or 404, by version."""
    return response.status_code == UNPROCESSABLE or is_gone(response)


def is_gone(response: httpx.Response) -> bool:
    """True when the contact that was written to is not there."""
    if response.status_code != _NOT_FOUND:
        return False
    document = document_of(response)
    return isinstance(document, Mapping) and document.get("code") != _NO_ROUTE


def is_taken(response: httpx.Response) -> bool:
    """True when a contact was not made, since another has the address."""
    return response.status_code == UNPROCESSABLE and _has_unique_rule(document_of(response))


def _has_unique_rule(document: Any) -> bool:
    if not isinstance(document, Mapping):
        return False
    refused = document.get("email")
    if isinstance(refused, Mapping) and "unique" in refused:
        return True
    return any(_has_unique_rule(document.get(inner)) for inner in ("errors", "data"))


def _part(response: httpx.Response, name: str) -> Mapping[str, Any]:
    document = document_of(response) if response.is_success else None
    part = document.get(name) if isinstance(document, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def _id_of(part: Mapping[str, Any]) -> str | None:
    found = part.get("id")
    text = str(found) if isinstance(found, str | int) else None
    return text if is_id(text) else None


def _custom_values(told: Any) -> Mapping[str, Any] | None:
    if isinstance(told, Mapping):
        return {name: value for name, value in told.items() if value is not None}
    # PHP writes an empty object as an empty list.
    return {} if told == [] else None


def _tags(told: Any) -> frozenset[int] | None:
    if not isinstance(told, list):
        return None
    ids = (tag.get("id") if isinstance(tag, Mapping) else None for tag in told)
    return frozenset(
        int(found) for found in ids if isinstance(found, str | int) and is_id(str(found))
    )


def _say_what_is_missing(reply: Reply) -> Outcome:
    return auth_failed(
        reply.reason(
            "there is no FluentCRM at this address; is the plugin active, and are base_url and"
            " api_path right?"
        )
    )


def _say_who_has_it(reply: Reply) -> Outcome:
    return rejected(reply.reason("another contact has this address; merge the two in FluentCRM"))


RULES: tuple[Rule, ...] = (
    Rule({_NOT_FOUND}, _say_what_is_missing),
    Rule({_NOT_ACCEPTABLE}, passing, lambda reply: reply.is_page),
    Rule({UNPROCESSABLE}, _say_who_has_it, lambda reply: _has_unique_rule(reply.document)),
)
