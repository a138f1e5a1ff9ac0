"""The operator's commands on a real database, as a shell runs them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app import __version__
from app.cli import session
from app.domain.model import RawRequest
from tests.captured import captured
from tests.fakes.brevo import FakeBrevo
from tests.integration.command_line import CommandLine, emptied, open_command_line
from tests.integration.command_process import beside

HOOK = "http://127.0.0.1:9/hook"


@pytest.fixture
def relay(database_url, tmp_path, monkeypatch) -> CommandLine:
    return open_command_line(monkeypatch, tmp_path, emptied(database_url))


@pytest.fixture
def event_id(relay) -> str:
    """An event for the target `hook`, which is paused."""
    relay("targets", "add", "hook", "--url", HOOK)
    relay("targets", "pause", "hook")
    return receive(relay, "payment_received")


def receive(relay: CommandLine, event_type: str) -> str:
    made = relay.json("sources", "add", "shop")
    request = RawRequest(
        headers={"content-type": "application/json"},
        body=captured(event_type).raw_body,
        received_at=datetime.now(UTC),
        event_type=event_type,
        query={"token": made["token"]},
    )
    return session.operate(lambda runtime: runtime.services.ingest.accept("shop", request)).id


def test_the_version_is_said(relay):
    assert relay("--version").strip() == __version__


def test_a_key_is_shown_once(relay):
    made = relay("keys", "add", "till", "--scope", "write")
    assert "read, write" in made
    assert "not shown again" in made
    key = made.split("API key: ")[1].strip()
    listed = relay("keys", "list")
    assert "till" in listed
    assert key not in listed


def test_a_removed_key_is_gone(relay):
    made = relay.json("keys", "add", "till")
    assert relay.json("keys", "list")[0]["id"] == made["id"]
    assert made["scope"] == "read"
    relay("keys", "remove", "till")
    assert relay.json("keys", "list") == []
    assert "no API key 'till'" in relay.refused("keys", "remove", "till")


def test_without_keys_the_list_says_so(relay):
    assert "There is no API key" in relay("keys", "list")


def test_a_source_shows_its_credentials_once(relay):
    made = relay("sources", "add", "shop")
    assert "http://127.0.0.1:8080/webhooks/shop" in made
    secrets = [line.split(": ")[1] for line in made.splitlines()[-2:]]
    assert secrets[1].startswith("whsec_")
    assert not any(secret in relay("sources", "list") for secret in secrets)


def test_a_source_is_given_access_to_its_networks_api_and_keeps_it_secret(relay):
    relay("sources", "add", "shop")
    words = ("sources", "update", "shop", "--api-url", "http://127.0.0.1:9999/")
    asked = relay.run(*words, stdin="canary-key\ncanary-secret\n")
    assert asked.exit_code == 0, asked.output
    given = relay.run(*words, UM_API_KEY="canary-key", UM_API_SECRET="canary-secret")
    assert given.exit_code == 0, given.output
    (source,) = relay.json("sources", "list")
    assert (source["api_access"], source["settings"]["api_url"]) == (True, "http://127.0.0.1:9999")
    assert "canary" not in asked.output + given.output + relay("sources", "list")
    relay("sources", "update", "shop", "--forget-api-access", "--strict")
    (source,) = relay.json("sources", "list")
    assert (source["api_access"], source["strict"]) == (False, True)


def test_keys_that_nobody_can_be_asked_for_are_named_with_their_variable(relay):
    relay("sources", "add", "shop")
    words = ("sources", "update", "shop", "--api-url", "http://127.0.0.1:9999/")
    asked = relay.run(*words, stdin="", UM_API_KEY="key")
    assert asked.exit_code == 1
    assert "scripts give it in UM_API_SECRET" in asked.stderr
    assert "getpass" not in asked.output


def test_rotation_makes_new_credentials(relay):
    first = relay.json("sources", "add", "shop")
    second = relay.json("sources", "rotate", "shop")
    assert second["token"] not in (None, first["token"])
    assert second["signing_secret"] not in (None, first["signing_secret"])


def test_a_source_takes_its_options(relay):
    made = relay.json(
        "sources", "add", "billing", "--kind", "standard_webhooks", "--strict",
        "--dedupe-window", "5",
    )  # fmt: skip
    assert made["source"]["kind"] == "standard_webhooks"
    assert made["source"]["strict"] is True
    assert made["source"]["settings"] == {"dedupe_window": 5}


def test_a_removed_source_is_gone(relay):
    made = relay.json("sources", "add", "shop")
    relay("sources", "remove", made["source"]["id"])
    assert relay.json("sources", "list") == []


def test_a_wrong_source_is_refused_with_every_wrong_place(relay):
    said = relay.refused("sources", "add", "Not A Name", "--kind", "carrier-pigeon", code=2)
    assert "#/name" in said
    assert "#/kind" in said


def test_a_target_is_made_shown_and_removed(relay):
    made = relay(
        "targets", "add", "hook", "--url", HOOK, "--event", "payment_*", "--event", "checkout_*",
        "--setting", "headers.X-Team=ops-secret", "--filter", "payment.total > 1.0",
        "--mapping", "sum=payment.total", "--retry", "0,5", "--per-second", "3",
        "--max-in-flight", "2", "--ordered",
    )  # fmt: skip
    assert "whsec_" in made
    shown = relay("targets", "show", "hook")
    for text in (HOOK, "payment_*, checkout_*", "payment.total > 1.0", "********", "[0", "yes"):
        assert text in shown
    assert "ops-secret" not in shown
    assert "whsec_" not in shown
    assert relay.json("targets", "list")[0]["max_in_flight"] == 2
    relay("targets", "remove", "hook")
    assert "There is no target" in relay("targets", "list")


def test_another_connectors_target_has_no_signing_secret(relay, tmp_path):
    (tmp_path / "token").write_text("pat-na1-secret")
    made = relay(
        "targets", "add", "crm", "--connector", "hubspot", "--setting", f"token=@{tmp_path}/token"
    )
    assert made.strip() == "Made the target crm."
    assert "pat-na1-secret" not in relay("targets", "show", "crm")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--url", "http://10.0.0.1/"), "#/settings/url"),
        (("--url", HOOK, "--filter", "payment ="), "#/filter"),
        (("--url", HOOK, "--setting", "nonsense"), "KEY=VALUE"),
        (("--url", HOOK, "--source", "nobody"), "#/sources/0"),
        (("--connector", "carrier-pigeon"), "no connector"),
        ((), "#/settings/url"),
    ],
)
def test_a_wrong_target_is_refused_with_the_wrong_place(relay, words, says):
    assert says in relay.refused("targets", "add", "hook", *words, code=2)
    assert relay.json("targets", "list") == []


def test_a_target_is_paused_and_resumed(relay):
    relay("targets", "add", "hook", "--url", HOOK)
    assert "is paused (Paused by an operator.)" in relay("targets", "pause", "hook")
    assert "paused" in relay("targets", "list")
    assert relay("targets", "resume", "hook") == "The target hook is active.\n"


def test_what_a_target_writes_to_is_made_in_its_destination(relay):
    with beside(FakeBrevo(attributes={"PLAN": "text"})) as brevo:
        words = ("--setting", f"base_url={brevo.base_url}", "--setting", "api_key=xkeysib-correct")
        relay("targets", "add", "crm", "--connector", "brevo", *words)
        assert "Made: SIGNUP_DATE, " in relay("targets", "prepare", "crm")
        assert "LAST_PAYMENT_AT" in brevo.known
        assert relay.json("targets", "prepare", "crm")["ok"] is True
        brevo.key = "another"
        assert relay.run("targets", "prepare", "crm").exit_code == 1
    relay("targets", "add", "hook", "--url", HOOK)
    assert "nothing to make" in relay("targets", "prepare", "hook")


def test_a_targets_secret_is_rotated(relay):
    first = relay.json("targets", "add", "hook", "--url", HOOK)["signing_secret"]
    assert relay.json("targets", "rotate-secret", "hook")["signing_secret"] not in (None, first)


def test_events_are_listed_and_filtered(relay, event_id):
    assert event_id in relay("events", "list")
    assert [e["id"] for e in relay.json("events", "list", "--type", "payment_*")] == [event_id]
    assert relay.json("events", "list", "--type", "checkout_*") == []
    assert relay.json("events", "list", "--source", "shop", "--type", "checkout_*") == []
    assert "no such event" in relay("events", "list", "--test")


def test_an_event_is_shown_with_its_deliveries(relay, event_id):
    shown = relay("events", "show", event_id)
    assert "payment_received" in shown
    assert "held" in shown
    found = relay.json("events", "show", event_id)
    assert [delivery["target"] for delivery in found["deliveries"]] == ["hook"]


def test_a_body_is_printed_byte_for_byte(relay, event_id):
    printed = relay.run("events", "show", event_id, "--body").stdout_bytes
    assert printed == captured("payment_received").raw_body


def test_a_delivery_is_listed_by_status_and_target(relay, event_id):
    assert "Paused by an operator" in relay("deliveries", "list")
    (found,) = relay.json("deliveries", "list", "--status", "held", "--target", "hook")
    assert found["event_id"] == event_id
    assert relay.json("deliveries", "list", "--status", "failed") == []
    relay("targets", "add", "idle", "--url", HOOK)
    assert "no such delivery" in relay("deliveries", "list", "--target", "idle")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("events", "list", "--source", "shpo"), "There is no source 'shpo'; there are: shop."),
        (("deliveries", "list", "--target", "hok"), "There is no target 'hok'; there are: hook."),
        (("deliveries", "list", "--target", "hok", "--json"), "There is no target 'hok'"),
    ],
)
def test_nothing_is_not_said_of_a_name_that_is_misspelt(relay, event_id, words, says):
    assert event_id
    assert says in relay.refused(*words)


def test_what_is_left_of_a_removed_target_is_found_by_its_id(relay, event_id):
    target = relay.json("targets", "show", "hook")["id"]
    relay("targets", "remove", "hook")
    (found,) = relay.json("deliveries", "list", "--target", target)
    assert found["event_id"] == event_id


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("events", "list", "--type", "Not A Type"), "a pattern is an event type"),
        (("replay", "--target", "hook", "--type", "Not A Type"), "a pattern is an event type"),
        (("deliveries", "list", "--event", "nothing"), "use the id of an event"),
    ],
)
def test_a_filter_that_means_nothing_is_refused(relay, words, says):
    assert says in relay.refused(*words, code=2)


def test_a_delivery_is_shown_cancelled_and_sent_again(relay, event_id):
    (found,) = relay.json("deliveries", "list", "--event", event_id)
    assert "held" in relay("deliveries", "show", found["id"])
    assert "Cancelled by an operator" in relay("deliveries", "cancel", found["id"])
    assert "over" in relay.refused("deliveries", "cancel", found["id"])
    assert "Paused by an operator" in relay("deliveries", "retry", found["id"])
    assert relay.json("deliveries", "show", found["id"])["delivery"]["status"] == "held"


@pytest.mark.parametrize(
    "words",
    [
        ("events", "show", "evt_nothing"),
        ("events", "show", "evt_nothing", "--body"),
        ("deliveries", "show", "dlv_nothing"),
        ("deliveries", "retry", "dlv_nothing"),
        ("targets", "show", "nobody"),
        ("sources", "rotate", "nobody"),
    ],
)
def test_what_is_not_there_is_named(relay, words):
    assert "There is no" in relay.refused(*words)


def test_a_wrong_master_key_is_a_sentence(relay):
    relay("sources", "add", "shop")
    result = relay.run("sources", "list", RELAY_SECRET_KEY="eHh4" * 10 + "eHg=")
    assert result.exit_code == 2
    assert result.stderr.startswith("The master key does not open")
    assert result.stdout == ""


def test_every_command_explains_itself():
    relay = CommandLine({})
    assert "relay" in relay("--help")
    for words in (
        *(("serve",), ("worker",), ("migrate",), ("check",), ("send",)),
        *(("keys", verb) for verb in ("list", "add", "remove")),
        *(("sources", verb) for verb in ("list", "add", "rotate", "remove")),
        *(("targets", verb) for verb in ("list", "show", "add", "pause", "resume")),
        *(("targets", verb) for verb in ("rotate-secret", "remove", "prepare")),
        *(("events", verb) for verb in ("list", "show")),
        *(("deliveries", verb) for verb in ("list", "show", "retry", "cancel")),
    ):
        assert "Usage" in relay(*words, "--help")
