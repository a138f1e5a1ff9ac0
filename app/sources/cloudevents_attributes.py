"""The attributes of one CloudEvent, from a structured body or from `ce-…` headers.

Header values are percent-encoded UTF-8, and may be in double quotes (older versions of the
binding); what does not decode to UTF-8 is refused, an overlong encoding (`%C0%A0`) included.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import unquote_to_bytes

from app.domain.errors import FieldError
from app.domain.model import RawRequest
from app.sources.fields import Place, invalid
from app.sources.lifecycle import object_body

_SPEC_VERSION = "1.0"
_REQUIRED = ("specversion", "id", "source", "type")
_OPTIONAL = ("time", "subject")
_PREFIX = "ce-"
#: No attribute may hold these (CloudEvents 1.0, section 3.1).
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NO_ATTRIBUTES = (
    "has no ce- headers beside it; an event that stands in the body as a whole has the content type"
    " application/cloudevents+json"
)
#: How the relay's own connector marks what came from a test button.
_TEST = "relaytest"
_DATA_MEMBERS = frozenset({"data", "data_base64"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What one event says of itself.

    `others` are its extensions that are texts; `error` makes the error of one attribute, which
    stands in the body or in a header.
    """

    id: str
    source: str
    type: str
    time: datetime | None
    subject: str | None
    data: Any
    error: Callable[[str, str], FieldError]
    others: Mapping[str, str] = field(default_factory=dict)

    @property
    def test(self) -> bool:
        """True when another relay sent the event, and marked it as a test."""
        return self.others.get(_TEST) == "true"

    def as_headers(self) -> dict[str, str]:
        """The attributes under the names they have in binary mode."""
        known = {"id": self.id, "source": self.source, "type": self.type, "subject": self.subject}
        found = {**self.others, **{name: value for name, value in known.items() if value}}
        return {_PREFIX + name: value for name, value in found.items()}


def from_document(document: Any) -> Attributes:
    """The event of a structured body.

    Raises:
        InvalidPayload: an attribute is missing or wrong.
    """
    body = object_body(document)
    errors: list[FieldError] = []
    texts = {
        name: value
        for name in (*_REQUIRED, *_OPTIONAL)
        if (value := body.get(name)) is not None and _is_text(name, value, errors)
    }
    others = {
        name: value
        for name, value in body.items()
        if isinstance(value, str) and name not in _DATA_MEMBERS and not _FORBIDDEN.search(value)
    }
    if body.get(_TEST) is True:
        others[_TEST] = "true"
    data = body.get("data")
    if data is None and "data_base64" in body:
        # Bytes are not read, but go on as they were written.
        data = {"data_base64": body["data_base64"]}
    return _attributes(texts, data, others, errors, _in_body)


def from_headers(request: RawRequest, document: Any) -> Attributes:
    """The event whose attributes are headers; `document` is its data.

    Raises:
        InvalidPayload: an attribute is missing or wrong.
    """
    errors: list[FieldError] = []
    texts: dict[str, str] = {}
    others: dict[str, str] = {}
    for header, value in request.headers.items():
        name = header.removeprefix(_PREFIX)
        if name == header:
            continue
        text = decoded(value)
        if name not in _REQUIRED and name not in _OPTIONAL:
            others |= {name: text} if text is not None else {}
        elif text is None or header in request.repeated_headers or _FORBIDDEN.search(text):
            errors.append(_in_header(name, "must be one percent-encoded text"))
        else:
            texts[name] = text
    if not texts and not errors:
        errors.append(FieldError("#", _NO_ATTRIBUTES))
    return _attributes(texts, document, others, errors, _in_header)


def decoded(value: str) -> str | None:
    """The text that a header's value stands for, None when it stands for none."""
    written = value.strip()
    if _QUOTED.fullmatch(written):
        written = _ESCAPED.sub(r"\1", written[1:-1])
    try:
        return unquote_to_bytes(written.encode("latin-1")).decode()
    except UnicodeError:
        return None


def _is_text(name: str, value: Any, errors: list[FieldError]) -> bool:
    if isinstance(value, str) and not _FORBIDDEN.search(value):
        return True
    errors.append(_in_body(name, "must be a text without control characters"))
    return False


def _in_body(name: str, detail: str) -> FieldError:
    return FieldError(f"#/{name}", detail)


def _in_header(name: str, detail: str) -> FieldError:
    return FieldError("#", f"the header {_PREFIX}{name} {detail}")


def _attributes(
    texts: Mapping[str, str],
    data: Any,
    others: Mapping[str, str],
    errors: list[FieldError],
    error: Callable[[str, str], FieldError],
) -> Attributes:
    if not errors:
        missing = [name for name in _REQUIRED if not texts.get(name)]
        errors += [error(name, "is missing; CloudEvents require it") for name in missing]
    if not errors and texts["specversion"] != _SPEC_VERSION:
        errors.append(error("specversion", f'must be "{_SPEC_VERSION}"'))
    wrong: list[FieldError] = []
    time = Place("#", wrong).moment(texts, "time")
    errors += [error("time", failure.detail) for failure in wrong]
    if errors:
        raise invalid(errors)
    return Attributes(
        id=texts["id"],
        source=texts["source"],
        type=texts["type"],
        time=time,
        subject=texts.get("subject") or None,
        data=data,
        error=error,
        others=others,
    )
