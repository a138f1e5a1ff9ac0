"""`docs/problems.md`, from `app/domain/errors.py` and what the HTTP edge adds to it."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module

import app.api
from app.domain import errors
from docs.generators import markdown

_INTRODUCTION = """\
Every refusal is a problem document (RFC 9457, `application/problem+json`):

```json
{
  "type": "validation-failed",
  "title": "The request has invalid fields",
  "status": 422,
  "detail": "These fields are not valid: #/settings/url.",
  "instance": "/v1/targets",
  "errors": [{"pointer": "#/settings/url", "detail": "The address 169.254.169.254 is not one that targets may have; use a public host."}]
}
```

`type` names the problem and never changes; programs should decide by it.
`detail` says what happened this time, and where; it is for people and may change.
`errors` is there when several places of a document are wrong, each with a JSON Pointer.
No problem document repeats a secret or shows a stack trace."""

# What the reader of a problem can do about it.
_ADVICE = {
    "body-too-large": "Send less, or let the operator raise `RELAY_BODY_LIMIT`. Nothing of the body was kept.",
    "conflict": "Read `detail`: the name is taken, the state does not allow the step, or the same event id or `Idempotency-Key` came with other content.",
    "forbidden": "Use a key with a wider scope: `read` < `write` < `admin`.",
    "headers-too-large": "Send fewer or shorter header fields, or let the operator raise `RELAY_HEADER_LIMIT` or `RELAY_HEADER_COUNT_LIMIT`.",
    "internal-error": "This is a fault of the relay. Report it with the time of the request; the log of that moment holds the cause.",
    "invalid-cursor": "Take `next` from the answer before, unchanged, with the same list; or start again without a cursor.",
    "invalid-payload": "Compare the body with the source's kind in [event types](event-types.md). An authenticated body is kept: the problem names its `quarantine_id`.",
    "invalid-request": "Read `detail`; sending the same again will not help.",
    "method-not-allowed": "Use one of the methods that the header `Allow` names.",
    "not-found": "Check the id or the name in the path, and that it was not deleted.",
    "not-implemented": "A later version carries this out; see the [changelog](../CHANGELOG.md).",
    "path-too-long": "Shorten the path; names of sources and event types are short.",
    "platform-refused": "Read `detail`: the keys of the source's API, its address or a setting of the network must be changed.",
    "platform-unavailable": "Wait and try again; the network's own log says why it did not answer.",
    "relay-loop": "A target of this relay leads back to it. Take one of the two routes away.",
    "request-timeout": "Send the body faster than `RELAY_BODY_TIMEOUT` allows, and send the request again.",
    "source-unusable": "Look into the relay's log for `source.unusable`: a kind or settings that this version does not know, or secrets that do not open with its master key. Nothing was stored; send the request again once it is mended.",
    "store-unavailable": "Wait for the time in `Retry-After` and send the same again: nothing was stored.",
    "too-many-connections": "Wait for the time in `Retry-After`; an operator may raise `RELAY_MAX_CONNECTIONS` or run more processes.",
    "too-many-requests": "Wait for the time in `Retry-After`.",
    "unauthorized": "Send the credential: an API key as `Authorization: Bearer` under `/v1`; a source's own token or signature under `/webhooks`. Missing and wrong look the same on purpose.",
    "unknown-event-type": "The source is strict. Send a type of [event types](event-types.md), or set `strict` of the source to false.",
    "unreadable-body": "Send valid JSON in UTF-8: no duplicate keys, no NaN, no NUL outside of strings, no more than the allowed depth. An authenticated body is kept: the problem names its `quarantine_id`.",
    "unsupported-encoding": "Send the body without `Content-Encoding`.",
    "unsupported-media-type": "Send the `Content-Type` that the source's kind reads; `application/json` for most.",
    "validation-failed": "Correct the places that `errors` names; a field that the relay does not know is an error too.",
}


#: What is never answered over HTTP: the root, those of its children that have no name, start-up.
_UNANSWERED = {errors.RelayError.slug, errors.ConfigurationError.slug}


def problems() -> Iterator[type[errors.RelayError]]:
    """Every error that is answered over HTTP, one for a slug, in the order of status and slug."""
    edge = [
        import_module(f"app.api.{module.name}") for module in pkgutil.iter_modules(app.api.__path__)
    ]
    by_slug = {
        error.slug: error
        for module in (*edge, errors)
        for _, error in inspect.getmembers(module, inspect.isclass)
        if issubclass(error, errors.RelayError) and error.slug not in _UNANSWERED
    }
    yield from sorted(by_slug.values(), key=lambda error: (error.status, error.slug))


def reference() -> str:
    """The page that explains every problem. Raises ValueError when one has no advice."""
    listed = [*problems()]
    if {error.slug for error in listed} != _ADVICE.keys():
        wrong = sorted({error.slug for error in listed} ^ _ADVICE.keys())
        raise ValueError(f"docs/generators/problem_page.py: no advice, or no error, for {wrong}")
    overview = markdown.table(
        ("status", "type", "title"),
        [(str(error.status), f"[`{error.slug}`](#{error.slug})", error.title) for error in listed],
    )
    return markdown.page("Problems", _INTRODUCTION, overview, *map(_section, listed))


def _section(error: type[errors.RelayError]) -> str:
    meaning = inspect.getdoc(error) or ""
    return "\n".join(
        [
            f"## {error.slug}",
            "",
            f"Status {error.status}: {error.title}.",
            meaning,
            "",
            f"**What to do.** {_ADVICE[error.slug]}",
        ]
    )
