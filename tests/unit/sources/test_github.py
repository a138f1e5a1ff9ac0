"""GitHub's signature, and what its webhooks become."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.errors import InvalidPayload, InvalidRequest
from app.sources.github import GitHub
from tests.senders import passes, read, request, sample

ADAPTER = GitHub()
# The example of GitHub's own documentation.
SECRET = "It's a Secret to Everybody"
BODY = b"Hello, World!"
SIGNATURE = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
DELIVERY = "72d3162e-cc78-11e3-81ab-4c9367dc0958"


def headers(event: str = "issues", delivery: str = DELIVERY) -> dict[str, str]:
    return {"x-github-event": event, "x-github-delivery": delivery}


def test_githubs_own_example_passes():
    assert passes(ADAPTER, request(BODY, {"x-hub-signature-256": f"sha256={SIGNATURE}"}), SECRET)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"x-hub-signature": f"sha256={SIGNATURE}"},
        {"x-hub-signature": "sha1=0123456789abcdef0123456789abcdef01234567"},
        {"x-hub-signature-256": SIGNATURE},
        {"x-hub-signature-256": "sha256="},
        {"x-hub-signature-256": f"sha256={SIGNATURE.upper()}"},
        {"x-hub-signature-256": f"SHA256={SIGNATURE}"},
        {"x-hub-signature-256": f"sha256={SIGNATURE} "},
        {"x-hub-signature-256": f"sha256={SIGNATURE[:-2]}"},
        {"x-hub-signature-256": f"sha1={SIGNATURE}"},
        {"x-hub-signature-256": "sha256=\xff"},
    ],
)
def test_anything_else_is_refused(fields: dict[str, str]):
    assert not passes(ADAPTER, request(BODY, fields), SECRET)


@pytest.mark.parametrize("body", [b"Hello, World!\n", b"hello, World!", b""])
def test_the_signature_covers_every_byte(body: bytes):
    fields = {"x-hub-signature-256": f"sha256={SIGNATURE}"}
    assert not passes(ADAPTER, request(body, fields), SECRET)


def test_a_header_that_came_twice_is_refused():
    asked = request(
        BODY,
        {"x-hub-signature-256": f"sha256={SIGNATURE}"},
        repeated_headers=frozenset({"x-hub-signature-256"}),
    )
    assert not passes(ADAPTER, asked, SECRET)


@pytest.mark.parametrize(
    ("event", "action", "event_type"),
    [
        ("issues", "opened", "github_issues_opened"),
        ("push", None, "github_push"),
        ("pull_request", "review_requested", "github_pull_request_review_requested"),
        ("push", 7, "github_push"),
        (
            "repository_vulnerability_alert_of_some_future",
            "reintroduced_and_more_of_it",
            "github_repository_vulnerability_alert_of_some_future_reintroduce",
        ),
    ],
)
def test_event_and_action_make_the_type(event: str, action: Any, event_type: str):
    assert read(ADAPTER, {"action": action}, headers(event)).type == event_type


def test_a_delivery_is_known_by_its_id_and_belongs_to_its_repository():
    document = sample("github-issues")
    found = read(ADAPTER, document, headers())
    assert (found.dedupe_id, found.subject) == (DELIVERY, "repository/186853002")
    assert found.data == document
    assert found.test is False


def test_an_event_of_an_organisation_belongs_to_it():
    document = {"action": "member_added", "organization": {"id": 5, "login": "example-org"}}
    assert read(ADAPTER, document, headers("organization")).subject == "organization/5"


def test_the_ping_of_a_new_webhook_is_a_test():
    found = read(ADAPTER, sample("github-ping"), headers("ping"))
    assert (found.type, found.test) == ("github_ping", True)


def test_a_request_that_names_no_event_is_refused():
    with pytest.raises(InvalidRequest, match="X-GitHub-Event"):
        read(ADAPTER, sample("github-issues"))


@pytest.mark.parametrize("document", [[], 42, "text", None])
def test_a_body_that_is_no_object_is_refused(document: Any):
    with pytest.raises(InvalidPayload):
        read(ADAPTER, document, headers())


def test_an_id_that_no_column_holds_is_refused():
    with pytest.raises(InvalidPayload):
        read(ADAPTER, {}, headers(delivery="d" * 256))
