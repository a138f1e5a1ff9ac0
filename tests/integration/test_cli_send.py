"""`relay send`: a real example through the front door of a real process, and what becomes of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import pytest

from tests.integration.command_line import CommandLine, open_command_line
from tests.integration.command_process import CommandProcess, free_port, sink_beside


@pytest.fixture(scope="module")
def process(tmp_path_factory) -> Iterator[CommandProcess]:
    with CommandProcess(tmp_path_factory.mktemp("relay"), "serve", "--port", "0") as started:
        started.ready()
        yield started


@pytest.fixture
def shell(process, tmp_path, monkeypatch) -> CommandLine:
    """A shell beside the running relay, in whose environment it was not started."""
    monkeypatch.setenv("RELAY_PUBLIC_URL", process.ready())
    (tmp_path / "body.json").write_text('{"anything": 1}')
    (tmp_path / "broken.json").write_text("[1, 2")
    return open_command_line(
        monkeypatch,
        tmp_path,
        f"sqlite:///{process.folder / 'data' / 'relay.db'}",
        RELAY_SECRET_KEY=(process.folder / "data" / "secret.key").read_text(),
    )


def test_what_is_sent_arrives_and_is_followed(shell):
    with sink_beside() as sink:
        shell("targets", "add", "tool", "--url", sink.url)
        printed = shell("send", "payment_received")
        assert "succeeded" in printed
        assert "it arrived" in printed
        assert len(sink.requests) == 1
        shell("targets", "remove", "tool")


def test_what_fails_is_not_waited_for(shell):
    shell("targets", "add", "dead", "--url", f"http://127.0.0.1:{free_port()}/")
    assert "it is tried again at" in shell("send", "payment_received")
    shell("targets", "remove", "dead")


def test_every_sending_is_an_event_of_its_own(shell):
    first, second = (shell.json("send", "checkout_completed")["answer"] for _ in range(2))
    assert first["id"] != second["id"]
    assert "No target wanted it." in shell("send", "checkout_completed")


def test_the_same_id_sent_again_is_the_same_event(shell):
    assert "duplicate" not in shell("send", "payment_received", "--id", "once")
    assert "duplicate" in shell("send", "payment_received", "--id", "once")


def test_a_source_of_another_kind_is_sent_what_it_reads(shell):
    shell("sources", "add", "billing", "--kind", "standard_webhooks")
    answer = shell.json("send", "payment_received", "--source", "billing")["answer"]
    event = shell.json("events", "show", answer["id"])["event"]
    assert event["type"] == "payment_received"
    assert event["subject"].startswith("billing/customer/")


def test_a_body_of_ones_own_is_sent_as_it_is(shell):
    answer = shell.json("send", "my_own_type", "--body", "body.json")["answer"]
    assert shell("events", "show", answer["id"], "--body") == '{"anything": 1}'


@pytest.mark.parametrize(
    ("words", "says", "code"),
    [
        (("payment_received", "--body", "broken.json"), "The relay answered 400: ", 1),
        (("paymnt_received",), "Did you mean payment_received", 2),
        (("payment_received", "--source", "nobody"), "no source 'nobody'", 1),
        (("payment_received", "--id", "with.dot"), "cannot be sent", 2),
        (("payment_received", "--url", "http://127.0.0.1:1"), "Nothing answers at http://127", 1),
        (("payment_received", "--url", "no url"), "--url must begin with http", 2),
    ],
)
def test_what_cannot_be_sent_is_a_sentence(shell, words, says, code):
    assert says in shell.refused("send", *words, code=code)


def test_a_signature_of_another_relay_is_refused_at_the_door(
    process, sqlite_template, tmp_path, monkeypatch
):
    monkeypatch.setenv("RELAY_PUBLIC_URL", process.ready())
    shutil.copy(sqlite_template, tmp_path / "other.db")
    other = open_command_line(monkeypatch, tmp_path, f"sqlite:///{tmp_path / 'other.db'}")
    other("sources", "add", "my-network")
    said = other.refused("send", "payment_received")
    other("sources", "remove", "my-network")
    assert said.startswith("The relay answered 401")


def test_an_event_that_lands_elsewhere_is_noticed(process, shell, tmp_path, monkeypatch):
    source = shell.json("sources", "add", "shared", "--kind", "standard_webhooks")
    other = open_command_line(monkeypatch, tmp_path, f"sqlite:///{tmp_path / 'other.db'}")
    other("migrate")
    secret = source["signing_secret"]
    other(*("sources", "add", "shared", "--kind", "standard_webhooks", "--signing-secret", secret))
    said = other.refused("send", "payment_received")
    assert "keeps it in another database" in said


def test_the_answer_of_something_else_is_no_acceptance(shell):
    with sink_beside() as sink:
        said = shell.refused("send", "payment_received", "--url", sink.base_url)
    assert said.startswith("The relay answered 204: this is not how a relay answers")


def test_json_holds_the_answer_and_the_deliveries(shell):
    sent = json.loads(shell("send", "payment_received", "--json"))
    assert sent.keys() == {"url", "answer", "deliveries"}
