"""Every bad input of the list is told what is wrong and where; what was authenticated is kept.

Reference B7: 5, 6, 31-38, 40, and the list of bad input that the relay was ordered with.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.security.real_server import Answer, written

JSON = "content-type: application/json"
DEEP = b'{"a":' * 1000 + b"1" + b"}" * 1000
TWO_MIB = b" " * 2_097_152
HOOK = b'{"name":"t","connector":"webhook","settings":{"url":"https://h.example.com/"}'
TYPE_PATH = "/webhooks/shop/payment_received"


@dataclass(frozen=True)
class Bad:
    """A body that cannot be read: the status and slug it gets, and the words that say where."""

    body: bytes
    status: int
    slug: str
    where: str


UNREADABLE = {
    "scalar": Bad(b"42", 422, "invalid-payload", "#"),
    "null": Bad(b"null", 422, "invalid-payload", "#"),
    "list": Bad(b"[]", 422, "invalid-payload", "#"),
    "depth 1000": Bad(DEEP, 400, "unreadable-body", "deeper than 64"),
    "same key twice": Bad(b'{"a":{"b":1,"b":2}}', 400, "unreadable-body", "#/a/b"),
    "NaN": Bad(b'{"a":[1,NaN]}', 400, "unreadable-body", "line 1, column 9"),
    "Infinity": Bad(b'{"a":\n-Infinity}', 400, "unreadable-body", "line 2"),
    "1e400": Bad(b'{"a":1e400}', 400, "unreadable-body", "column 6"),
    "5000 digits": Bad(b'{"a":' + b"9" * 5000 + b"}", 400, "unreadable-body", "column 6"),
    "2 to the 63": Bad(
        b'{"payment_id":9223372036854775808}', 400, "unreadable-body", "#/payment_id"
    ),
    "raw NUL": Bad(b'{"a":"\x00"}', 400, "unreadable-body", "column 7"),
    "lone surrogate": Bad(b'{"a":"\\ud800"}', 400, "unreadable-body", "column 7"),
    "not UTF-8": Bad(b'{"a":"\xff"}', 400, "unreadable-body", "byte 6"),
    "byte order mark": Bad(b"\xef\xbb\xbf{}", 400, "unreadable-body", "starts with"),
    "UTF-16": Bad('{"a":1}'.encode("utf-16"), 400, "unreadable-body", "UTF-16"),
    "cut short": Bad(b'{"a":', 400, "unreadable-body", "line 1, column 6"),
    "two documents": Bad(b"{} {}", 400, "unreadable-body", "line 1, column 4"),
    "a wrong field": Bad(b'{"payment_id":{"a":1}}', 422, "invalid-payload", "#/payment_id"),
}


def problem(answer: Answer, status: int, slug: str) -> dict:
    """The problem document of an answer, which must be this one."""
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.document
    assert (answer.status, document["status"], document["type"]) == (status, status, slug)
    assert document["title"]
    assert document["detail"]
    return document


@pytest.mark.parametrize("bad", UNREADABLE.values(), ids=UNREADABLE)
def test_an_authenticated_body_is_refused_with_its_place_and_kept(server, bad):
    events, kept = server.events(), server.quarantined()
    document = problem(server.exchange(server.door(JSON, body=bad.body)), bad.status, bad.slug)
    places = " ".join(error["pointer"] for error in document.get("errors", ()))
    assert bad.where in document["detail"] + " " + places
    assert (server.events(), server.quarantined()) == (events, kept + 1)
    entry = server.management("GET", f"/v1/quarantine/{document['quarantine_id']}").document
    assert (entry["source"], entry["size"]) == ("shop", len(bad.body))
    assert entry["problem"] == bad.slug


@pytest.mark.parametrize("bad", UNREADABLE.values(), ids=UNREADABLE)
@pytest.mark.parametrize("token", ["", "?token=wrong"])
def test_the_same_body_from_a_stranger_leaves_nothing(server, bad, token):
    before = server.events(), server.quarantined()
    answer = server.exchange(written("POST", TYPE_PATH + token, JSON, body=bad.body))
    problem(answer, 401, "unauthorized")
    assert (server.events(), server.quarantined()) == before


def test_an_unknown_source_is_answered_like_a_missing_page(server):
    answer = server.exchange(written("POST", "/webhooks/nobody/x?token=y", JSON, body=b"{}"))
    problem(answer, 404, "not-found")


@pytest.mark.parametrize("length", [["content-length: 0"], []], ids=["of length 0", "of no length"])
def test_a_request_without_a_body_is_refused_and_kept(server, length):
    agent = "user-agent: WordPress/6.1.9"
    answer = server.exchange(server.door(JSON, agent, *length, body=None))
    document = problem(answer, 400, "unreadable-body")
    assert "empty" in document["detail"]
    entry = server.management("GET", f"/v1/quarantine/{document['quarantine_id']}").document
    assert (entry["event_type"], entry["size"], entry["body"]) == ("payment_received", 0, "")
    assert entry["headers"] == {"user-agent": "WordPress/6.1.9"}


@pytest.mark.parametrize("token", ["", "?token=wrong"])
def test_a_stranger_without_a_body_leaves_nothing(server, token):
    kept = server.quarantined()
    answer = server.exchange(written("POST", TYPE_PATH + token, JSON, body=b""))
    problem(answer, 401, "unauthorized")
    assert server.quarantined() == kept


@pytest.mark.parametrize(
    ("path", "status", "slug"),
    [
        ("/webhooks/shop/UPPER", 400, "invalid-request"),
        ("/webhooks/shop/x%00y", 400, "invalid-request"),
        ("/webhooks/shop", 400, "invalid-request"),
    ],
)
def test_a_type_that_is_none_is_refused_and_the_body_kept(server, path, status, slug):
    answer = server.exchange(
        written("POST", f"{path}?token={server.token}", JSON, body=b'{"wu_version":"2"}')
    )
    assert problem(answer, status, slug)["quarantine_id"].startswith("qrn_")


@pytest.mark.parametrize("escaped", [b'"\\u0000"', b'{"\\u0000":1}', b'["a\\u0000b"]'])
def test_an_escaped_nul_inside_the_data_is_taken_and_kept_byte_for_byte(server, escaped):
    body = b'{ "note" : ' + escaped + b', "wu_version":"2.4" }'
    answer = server.exchange(server.door(JSON, body=body))
    assert answer.status == 202
    stored = server.management("GET", f"/v1/events/{answer.document['id']}/body")
    assert stored.body == body


@pytest.mark.parametrize("headers", [["content-encoding: gzip"], ["content-type: text/plain"]])
def test_a_body_in_another_coding_or_type_is_refused_with_its_name(server, headers):
    shown = headers if "type" in headers[0] else [JSON, *headers]
    answer = server.exchange(server.door(*shown, body=b'{"a":1}'))
    assert answer.status == 415
    assert answer.headers["content-type"] == "application/problem+json"
    assert headers[0].partition(": ")[2] in answer.document["detail"]
    assert answer.document["quarantine_id"].startswith("qrn_")


def test_two_mebibytes_are_too_many_and_the_limit_is_named(server):
    before = server.events(), server.quarantined()
    document = problem(server.exchange(server.door(JSON, body=TWO_MIB)), 413, "body-too-large")
    assert "1048576" in document["detail"].replace(" ", "").replace(",", "").replace("_", "")
    assert (server.events(), server.quarantined()) == before


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (
            b'{"name":"t","connector":"webhook","settings":{"url":"http://127.1/"}}',
            "#/settings/url",
        ),
        (b'{"name":"t","connector":"nope","settings":{}}', "#/connector"),
        (b'{"name":"t","connector":"hubspot","settings":{}}', "#/settings/token"),
        (HOOK + b',"filter":"payment.total >"}', "#/filter"),
        (HOOK + b',"x":1}', "#/x"),
    ],
    ids=["hostile url", "unknown connector", "missing setting", "CEL", "unknown field"],
)
def test_a_target_that_cannot_be_names_the_place(server, body, pointer):
    document = problem(server.management("POST", "/v1/targets", body), 422, "validation-failed")
    assert pointer in [error["pointer"] for error in document["errors"]]
    assert all(error["detail"] for error in document["errors"])
    assert server.management("GET", "/v1/targets").document["items"] == []


@pytest.mark.parametrize("path", ["events", "deliveries", "quarantine", "sources", "targets"])
def test_a_bad_cursor_and_a_limit_of_nothing_are_refused(server, path):
    answer = server.management("GET", f"/v1/{path}?cursor=tampered")
    problem(answer, 400, "invalid-cursor")
    document = problem(server.management("GET", f"/v1/{path}?limit=0"), 422, "validation-failed")
    assert [error["pointer"] for error in document["errors"]] == ["#/query/limit"]
