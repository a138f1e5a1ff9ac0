"""Reading bodies within limits of size and time."""

from __future__ import annotations

import pytest

from app.api.bodies import BodyLimits, Disconnected, WholeBodies, read_body
from app.domain.errors import BodyTooLarge, InvalidRequest, RequestTimeout
from tests.asgi import DISCONNECT, Receiving, Sending, parts, scope

LIMITS = BodyLimits(size=10, seconds=0.02)


@pytest.mark.parametrize(
    "bodies", [(b"",), (b"0123456789",), (b"01234", b"56789"), (b"", b"0", b"")]
)
async def test_a_body_up_to_the_limit_is_read_whole(bodies):
    assert await read_body(Receiving(parts(*bodies)), LIMITS, None) == b"".join(bodies)


@pytest.mark.parametrize("declared", ["11", "1000000000", "9" * 5000])
async def test_a_declared_length_over_the_limit_is_refused_before_anything_is_read(declared):
    receiving = Receiving(parts(b"0"))
    with pytest.raises(BodyTooLarge):
        await read_body(receiving, LIMITS, declared)
    assert receiving.asked == 0


@pytest.mark.parametrize("declared", ["", "-1", "+5", "1e3", "0x10", "٣", "5, 5"])
async def test_a_declared_length_that_is_no_number_is_refused(declared):
    with pytest.raises(InvalidRequest):
        await read_body(Receiving(parts(b"0")), LIMITS, declared)


@pytest.mark.parametrize("bodies", [(b"0" * 11,), (b"0" * 10, b"0"), (b"01234", b"56789", b"0")])
async def test_a_body_over_the_limit_is_refused_while_it_comes_in(bodies):
    with pytest.raises(BodyTooLarge):
        await read_body(Receiving(parts(*bodies)), LIMITS, None)


async def test_an_endless_body_is_not_read_past_the_limit():
    receiving = Receiving(parts(*[b"0" * 4] * 100))
    with pytest.raises(BodyTooLarge):
        await read_body(receiving, LIMITS, None)
    assert receiving.asked == 3


@pytest.mark.parametrize("messages", [[], parts(b"0", b"")[:1]])
async def test_a_body_that_is_not_complete_in_time_is_refused(messages):
    with pytest.raises(RequestTimeout):
        await read_body(Receiving(messages), LIMITS, None)


@pytest.mark.parametrize("messages", [[DISCONNECT], [*parts(b"0", b"")[:1], DISCONNECT]])
async def test_a_sender_that_goes_away_is_no_body(messages):
    with pytest.raises(Disconnected):
        await read_body(Receiving(messages), LIMITS, None)


class Echo:
    """Answers with the body it was given, and remembers whether it was asked."""

    asked = False

    async def __call__(self, scope, receive, send) -> None:
        self.asked = True
        message = await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": message["body"]})


async def ask(messages, **fields) -> tuple[Echo, Sending]:
    echo, sending = Echo(), Sending()
    headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
    await WholeBodies(echo, LIMITS)(scope("/v1/x", headers=headers), Receiving(messages), sending)
    return echo, sending


async def test_the_app_gets_a_body_that_is_whole():
    _, sending = await ask(parts(b"01234", b"56"), transfer_encoding="chunked")
    assert sending.body == b"0123456"


async def test_a_request_without_a_body_is_passed_on_as_it_is():
    _, sending = await ask(parts(b""))
    assert sending.status == 200


@pytest.mark.parametrize(
    ("messages", "fields", "status"),
    [
        (parts(b"0" * 11), {"content_length": "11"}, 413),
        (parts(b"0" * 6, b"0" * 6), {"transfer_encoding": "chunked"}, 413),
        (parts(b"0", b"")[:1], {"content_length": "2"}, 408),
        (parts(b"0"), {"content_length": "x"}, 400),
    ],
)
async def test_the_app_never_sees_a_request_that_is_refused(messages, fields, status):
    echo, sending = await ask(messages, **fields)
    assert (sending.status, sending.headers["connection"], echo.asked) == (status, "close", False)


async def test_nobody_is_answered_who_went_away():
    echo, sending = await ask([DISCONNECT], content_length="2")
    assert (sending.messages, echo.asked) == ([], False)


async def test_what_still_comes_in_is_thrown_away_before_the_connection_is_closed():
    echo, sending = Echo(), Sending()
    receiving = Receiving(parts(b"0" * 11, b"1", b"2"))
    headers = [(b"content-length", b"13")]
    await WholeBodies(echo, LIMITS)(scope("/v1/x", headers=headers), receiving, sending)
    assert (receiving.asked, receiving.messages) == (3, [])
    assert [message.get("more_body") for message in sending.messages] == [None, True, False]
