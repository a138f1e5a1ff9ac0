"""What ActiveCampaign's replies say.

Errors are `{message}`, or `{errors: [{title, detail, code, source}]}` with 422; a bad token is a
403; a 429 names the wait in Retry-After.
Ids are texts in some replies and numbers in others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

import httpx

from app.connectors.classify import Reply, Rule, credential, document_of
from app.domain.outcome import Outcome, rejected

NOT_FOUND = 404
CREATED = 201
_ID = re.compile(r"[1-9][0-9]{0,17}")


def is_id(text: str | None) -> TypeGuard[str]:
    """True when `text` can stand in a path as an id."""
    return text is not None and _ID.fullmatch(text) is not None


def contact_id(response: httpx.Response) -> str | None:
    """The id of the contact that was written, None when the reply holds none."""
    document = document_of(response) if response.is_success else None
    contact = document.get("contact") if isinstance(document, Mapping) else None
    return _id(contact, "id")


def field_numbers(response: httpx.Response) -> dict[str, int]:
    """The number of each custom field, by its personalisation tag."""
    found = {}
    for field in _each(response, "fields"):
        tag, number = field.get("perstag"), _id(field, "id")
        if isinstance(tag, str) and number is not None:
            found[tag.strip("%").upper()] = int(number)
    return found


def new_field(response: httpx.Response) -> str | None:
    """The number of the custom field that was made."""
    document = document_of(response)
    return _id(document.get("field") if isinstance(document, Mapping) else None, "id")


def taggings(response: httpx.Response, tags: tuple[int, ...]) -> list[str]:
    """The ids of what ties a contact to one of these tags."""
    found = []
    for tagging in _each(response, "contactTags"):
        identifier, tag = _id(tagging, "id"), _id(tagging, "tag")
        if identifier is not None and tag is not None and int(tag) in tags:
            found.append(identifier)
    return found


def knows_list(response: httpx.Response, number: int) -> bool:
    """True when the contact stands in the list in any way: subscribed, unsubscribed or bounced."""
    return any(_id(one, "list") == str(number) for one in _each(response, "contactLists"))


def was_tracked(response: httpx.Response) -> bool:
    """True when an event was taken: its server answers 200 to what it refuses as well."""
    document = document_of(response)
    return isinstance(document, Mapping) and document.get("success") in (1, "1", True)


def _each(response: httpx.Response, name: str) -> Iterator[Mapping[str, Any]]:
    document = document_of(response)
    found = document.get(name) if isinstance(document, Mapping) else None
    if isinstance(found, list):
        yield from (one for one in found if isinstance(one, Mapping))


def _id(holder: Any, name: str) -> str | None:
    found = holder.get(name) if isinstance(holder, Mapping) else None
    text = str(found) if isinstance(found, str | int) else None
    return text if is_id(text) else None


def _is_duplicate(reply: Reply) -> bool:
    return any(error.get("code") == "duplicate" for error in _each(reply.response, "errors"))


def _say_who_has_it(reply: Reply) -> Outcome:
    return rejected(
        reply.reason("another contact has this address; merge the two in ActiveCampaign")
    )


RULES: tuple[Rule, ...] = (
    Rule({402}, credential),
    Rule({422}, _say_who_has_it, _is_duplicate),
)
