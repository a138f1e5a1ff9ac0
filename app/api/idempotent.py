"""The Idempotency-Key of requests that create something."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Header, Request, Response

from app.api.authentication import Principal
from app.domain.errors import InvalidRequest
from app.services.idempotency import KEPT_HOURS, Answer, Idempotency, IdempotentRequest

#: Names the header in the OpenAPI document; it is read by `idempotent`.
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Makes it safe to send the request again: for"
        f" {KEPT_HOURS} hours the same key and body get the first answer; the same key with"
        " another body gets 422, and 409 while the first request is under way. 1 to 255 visible"
        " characters, in double quotes or bare.",
        examples=['"8e03978e-40d5-43dd-bc93-6894a57f9324"'],
    ),
]

_HEADER = "idempotency-key"
_QUOTED = re.compile(r'"((?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\])+)"')
_BARE = re.compile(r"[\x21\x23-\x7e][\x21-\x7e]*")
_ESCAPED = re.compile(r'\\(["\\])')
_LONGEST_KEY = 255
_KEPT_HEADERS = ("content-type", "location")


async def idempotent(
    request: Request,
    principal: Principal,
    body: bytes,
    produce: Callable[[], Awaitable[Response]],
) -> Response:
    """The answer of `produce`, or the one it gave when the request was sent before.

    A request without the header is simply carried out.
    """
    key = _key(request)
    if key is None:
        return await produce()
    idempotency: Idempotency = request.app.state.services.idempotency
    scoped = IdempotentRequest(
        principal_id=principal.id,
        method=request.method,
        path=request.url.path,
        key=key,
        body=body,
    )

    async def answer() -> Answer:
        response = await produce()
        headers = {
            name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers
        }
        return Answer(
            status=response.status_code, body=bytes(response.body).decode(), headers=headers
        )

    given = await idempotency.run(scoped, answer)
    headers = dict(given.headers)
    if given.replayed:
        headers["Idempotency-Replayed"] = "true"
    return Response(given.body, status_code=given.status, headers=headers)


def _key(request: Request) -> str | None:
    """The key that was sent, None when there is none. Raises InvalidRequest."""
    values = request.headers.getlist(_HEADER)
    if not values:
        return None
    value = values[0].strip(" \t")
    quoted = _QUOTED.fullmatch(value)
    if quoted is not None:
        key: str | None = _ESCAPED.sub(r"\1", quoted[1])
    else:
        key = value if _BARE.fullmatch(value) else None
    if len(values) > 1 or key is None or len(key) > _LONGEST_KEY:
        raise InvalidRequest(
            f"Idempotency-Key must be sent once, with 1 to {_LONGEST_KEY} visible characters, in"
            " double quotes or bare."
        )
    return key
