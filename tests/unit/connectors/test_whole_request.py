"""A request made without working anything out is the one that httpx would have made."""

from __future__ import annotations

import httpx

from app.connectors.whole_request import WholeRequest

_URL = httpx.URL("https://user@hooks.example:8443/relay?a=b%20c")
_HEADERS = [(b"host", b"hooks.example:8443"), (b"content-length", b"2"), (b"X-Own", b"\xc3\xa9")]


def test_it_holds_what_httpx_would_have_made_of_it():
    whole = WholeRequest(_URL, _HEADERS, b"{}")
    usual = httpx.Request("POST", _URL, headers=_HEADERS, stream=httpx.ByteStream(b"{}"))
    usual.read()
    assert vars(whole).keys() == vars(usual).keys()
    assert (whole.method, whole.url, whole.content) == (usual.method, usual.url, usual.content)
    assert whole.headers.raw == usual.headers.raw
    assert whole.extensions == usual.extensions


async def test_its_body_can_be_sent_as_a_stream():
    whole = WholeRequest(_URL, _HEADERS, b"{}")
    assert isinstance(whole.stream, httpx.ByteStream)
    assert [piece async for piece in whole.stream] == [b"{}"]


def test_two_requests_share_nothing_that_changes():
    first, second = WholeRequest(_URL, _HEADERS, b"1"), WholeRequest(_URL, _HEADERS, b"2")
    first.extensions["relay_target"] = "tgt_1"
    first.headers["x-more"] = "1"
    assert not second.extensions
    assert "x-more" not in second.headers
