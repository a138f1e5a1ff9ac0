"""What Mailchimp's replies say.

Errors are problem documents with a title of Mailchimp's own, and `errors: [{field, message}]`.
A refusal that is no JSON comes from the limiter in front of the API; no reply ever says how long
to wait.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from app.connectors.classify import Reply, Rule, document_of, too_fast
from app.connectors.mailchimp_member import is_hash
from app.domain.outcome import Outcome, auth_failed, rejected, skipped

NOT_FOUND = 404
_BAD_REQUEST = 400
_PREFIX = "merge_fields."
#: About one person's wish or mailbox: nothing an operator could or should do.
_LEFT_ALONE = frozenset({"Member In Compliance State", "Forgotten Email Not Subscribed"})
_EXISTS = "Member Exists"


def member_id(response: httpx.Response) -> str | None:
    """The hash of the member that was written, None when the reply holds none."""
    found = _of(document_of(response), "id") if response.is_success else None
    return found if isinstance(found, str) and is_hash(found) else None


def refused_fields(response: httpx.Response) -> list[str]:
    """The merge fields a 400 names, each once; Mailchimp gives them with a prefix or without."""
    errors = _of(document_of(response), "errors") if response.status_code == _BAD_REQUEST else None
    named = [_of(error, "field") for error in errors] if isinstance(errors, list) else []
    return list(
        dict.fromkeys(name.removeprefix(_PREFIX) for name in named if isinstance(name, str))
    )


def merge_tags(response: httpx.Response) -> set[str]:
    """The tags of an audience's merge fields."""
    told = _of(document_of(response), "merge_fields")
    return {str(_of(one, "tag")) for one in (told if isinstance(told, list) else ())}


def is_there(response: httpx.Response) -> bool:
    """True when a merge field is refused because its tag is taken."""
    return "already exists" in str(_of(document_of(response), "detail"))


def _of(document: Any, key: str) -> Any:
    return document.get(key) if isinstance(document, Mapping) else None


def _is_left_alone(reply: Reply) -> bool:
    return _of(reply.document, "title") in _LEFT_ALONE


def _leave_alone(reply: Reply) -> Outcome:
    return skipped(
        reply.reason("Mailchimp keeps this address as its owner left it, and so does the relay")
    )


def _say_who_has_it(reply: Reply) -> Outcome:
    return rejected(reply.reason("another member has this address; archive one in Mailchimp"))


def _say_what_is_missing(reply: Reply) -> Outcome:
    return auth_failed(reply.reason("is list_id right, and does the key belong to its account?"))


RULES: tuple[Rule, ...] = (
    Rule({_BAD_REQUEST}, _leave_alone, _is_left_alone),
    Rule({_BAD_REQUEST}, _say_who_has_it, lambda reply: _of(reply.document, "title") == _EXISTS),
    Rule({403}, too_fast, lambda reply: not isinstance(reply.document, Mapping)),
    Rule({NOT_FOUND}, _say_what_is_missing),
)
