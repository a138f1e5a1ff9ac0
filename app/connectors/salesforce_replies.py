"""What Salesforce's replies say.

Errors are a list of `{message, errorCode, fields}`; in the reply to a collection each record has
its own, with `statusCode` instead.
A 403 can be the day's quota, and a 400 a record that another write holds for a moment.
Facts: developer.salesforce.com, REST API, Status Codes and Error Responses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import httpx

from app.connectors.classify import Reply, Rule, credential, document_of
from app.connectors.wording import presentable
from app.domain.outcome import Outcome, auth_failed, delivered, rejected, retry, throttle

_ID = re.compile(r"[A-Za-z0-9]{15}(?:[A-Za-z0-9]{3})?")
#: The quota rolls over 24 hours, and Salesforce does not say when it has room again.
_QUOTA_SECONDS = 3600.0
_QUOTA = "REQUEST_LIMIT_EXCEEDED"
_PASSING = frozenset({"UNABLE_TO_LOCK_ROW", "SERVER_UNAVAILABLE", "QUERY_TIMEOUT"})
_GONE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})


def is_id(text: str | None) -> bool:
    """True when `text` can be a record's id."""
    return text is not None and _ID.fullmatch(text) is not None


def is_gone(response: httpx.Response) -> bool:
    """True when the record is not there any more."""
    return response.status_code in _GONE


def record_id(response: httpx.Response) -> str | None:
    """The id in the reply to an upsert or a read, None when it holds none."""
    document = document_of(response)
    return _id_in(document) if isinstance(document, Mapping) else None


def results(response: httpx.Response, count: int) -> Sequence[Outcome] | None:
    """One outcome for each record of a collection, in order; None when they do not match."""
    document = document_of(response)
    if not isinstance(document, list) or len(document) != count:
        return None
    return [_result(item) for item in document]


def _result(item: Any) -> Outcome:
    if isinstance(item, Mapping) and item.get("success") is True:
        return delivered(_id_in(item))
    errors = list(_errors(item.get("errors") if isinstance(item, Mapping) else None))
    codes = {str(error.get("statusCode")) for error in errors}
    said = "; ".join(f"{error.get('statusCode')}: {error.get('message')}" for error in errors)
    reason = f"Salesforce refused the record: {presentable(said) or 'it did not say why'}"
    if codes & _PASSING:
        return retry(reason)
    return throttle(reason, _QUOTA_SECONDS) if _QUOTA in codes else rejected(reason)


def _id_in(document: Mapping[str, Any]) -> str | None:
    found = document.get("id", document.get("Id"))
    return found if isinstance(found, str) and is_id(found) else None


def _errors(document: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(document, list):
        yield from (error for error in document if isinstance(error, Mapping))


def _codes(reply: Reply) -> set[str]:
    return {str(error.get("errorCode")) for error in _errors(reply.document)}


def _says(*codes: str) -> Any:
    wanted = frozenset(codes)
    return lambda reply: bool(_codes(reply) & wanted)


def _not_unique(reply: Reply) -> Outcome:
    return rejected(
        reply.reason("several records have this external id; make its field unique in Salesforce")
    )


def _no_field(reply: Reply) -> Outcome:
    return rejected(
        reply.reason('create the field in Salesforce, map others, or set fields to "standard_only"')
    )


def _duplicates(reply: Reply) -> Outcome:
    return rejected(
        reply.reason("a duplicate rule found somebody alike; merge them, or set allow_duplicates")
    )


def _no_key_field(reply: Reply) -> Outcome:
    # No event could be delivered: they wait until the field is there.
    return auth_failed(
        reply.reason("the object has no such external id field, or the user may not see it")
    )


RULES: tuple[Rule, ...] = (
    Rule({HTTPStatus.MULTIPLE_CHOICES}, _not_unique),
    Rule({400}, lambda reply: retry(reply.reason(), reply.wait), _says(*_PASSING)),
    Rule({400}, _no_field, _says("INVALID_FIELD")),
    Rule({400}, _duplicates, _says("DUPLICATES_DETECTED")),
    Rule({400}, credential, _says("INVALID_TYPE")),
    Rule({403}, lambda reply: throttle(reply.reason(), _QUOTA_SECONDS), _says(_QUOTA)),
    Rule({404}, _no_key_field),
)
