"""The outermost layer: limits of header fields and path, and what every answer carries."""

from __future__ import annotations

import pytest

from app.api.limits import LONGEST_PATH, Limits
from tests.asgi import Receiving, Sending, parts, scope


def answering(*headers: tuple[bytes, bytes]):
    async def app(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
        await send({"type": "http.response.body", "body": b"fine"})

    return app


async def ask(app=None, **fields) -> Sending:
    sending = Sending()
    limits = Limits(app or answering(), header_bytes=4096, header_count=20)
    await limits(scope(**fields), Receiving(parts(b"")), sending)
    return sending


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"headers": [(b"x-a", b"1")] * 20}, 200),
        ({"headers": [(b"x-a", b"1")] * 21}, 431),
        ({"headers": [(b"x-a", b"1" * 4089)]}, 200),
        ({"headers": [(b"x-a", b"1" * 4090)]}, 431),
        ({"headers": [(b"x" * 4092, b"")]}, 200),
        ({"headers": [(b"x" * 4093, b"")]}, 431),
        ({"query": b"q" * 4096}, 200),
        ({"query": b"q" * 4097}, 431),
        ({"path": "/" + "x" * (LONGEST_PATH - 1)}, 200),
        ({"path": "/" + "x" * LONGEST_PATH}, 414),
        ({"path": "/x", "raw_path": b"/" + b"%78" * 700}, 414),
    ],
)
async def test_a_limit_is_exact(fields, status):
    assert (await ask(**fields)).status == status


@pytest.mark.parametrize(
    ("fields", "slug"),
    [
        ({"headers": [(b"x-secret", b"canary")] * 21}, "headers-too-large"),
        ({"path": "/" + "canary" * 1000}, "path-too-long"),
    ],
)
async def test_a_refusal_is_a_problem_that_repeats_nothing(fields, slug):
    sending = await ask(**fields)
    assert sending.headers["content-type"] == "application/problem+json"
    assert sending.headers["connection"] == "close"
    assert sending.document["type"] == slug
    assert b"canary" not in sending.body


async def test_every_answer_is_neither_sniffed_nor_stored():
    headers = (await ask()).headers
    assert headers == {"x-content-type-options": "nosniff", "cache-control": "no-store"}


async def test_what_an_answer_says_of_itself_stays():
    own = ((b"cache-control", b"no-cache"), (b"x-content-type-options", b"nosniff"))
    sending = await ask(answering(*own))
    assert sending.messages[0]["headers"] == list(own)


async def test_what_is_no_request_is_passed_on():
    seen = []

    async def app(scope, receive, send) -> None:
        seen.append(scope["type"])

    await Limits(app, header_bytes=1, header_count=1)({"type": "lifespan"}, None, None)
    assert seen == ["lifespan"]
