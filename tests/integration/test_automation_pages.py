"""The pages about automation tools: their commands run, their bodies are what is sent."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import typer.main

from app.cli.main import cli
from app.connectors.base import Assignment, TargetBinding
from app.connectors.mapping import bind_mapping
from app.connectors.webhook import Webhook
from app.domain import strict_json
from app.domain.catalogue import BRIDGE_TYPES, CATALOGUE, bridge_example
from app.domain.model import Event, RawRequest
from app.domain.signing import decode_secret, sign
from app.services.reading import event_of
from app.sources.registry import adapter_for
from tests.integration.command_line import CommandLine, open_command_line

FOLDER = Path(__file__).parents[2] / "docs" / "automation"
PAGES = {path.stem: path.read_text() for path in sorted(FOLDER.glob("*.md"))}
TOOLS = sorted(PAGES.keys() - {"README"})
RECEIVED = datetime(2026, 11, 23, 19, 9, 40, tzinfo=UTC)
SECRET = "whsec_" + "c2VjcmV0LWtleS1vZi1hLXRhcmdldC0zMi1ieXRlcy4="


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGES[page], re.DOTALL | re.MULTILINE)


def commands(page: str) -> list[list[str]]:
    """The `relay` commands of a page, in words."""
    text = "\n".join(blocks(page, "sh")).replace("\\\n", " ")
    return [shlex.split(line) for line in text.splitlines() if line.startswith("relay ")]


ADDED = [(tool, words) for tool in TOOLS for words in commands(tool) if words[2] == "add"]


@dataclass
class Body:
    """A body that a page shows, and where it comes from."""

    page: str
    event_type: str
    target: str | None
    bridge: bool = True

    @property
    def shown(self) -> Any:
        [body] = blocks(self.page, "json")
        return json.loads(body)


BODIES = (
    Body("README", "membership_status_to_cancelled", None),
    Body("zapier", "payment_received", "crm-zap", bridge=False),
    Body("make", "membership_status_to_cancelled", "sheet-scenario"),
    Body("n8n", "checkout_completed", "plan-changes"),
    Body("pabbly", "customer_post_create", "newsletter"),
)


@pytest.fixture
def relay(sqlite_template, tmp_path, monkeypatch) -> CommandLine:
    shutil.copy(sqlite_template, tmp_path / "relay.db")
    for key in ("make.key", "n8n.key"):
        (tmp_path / key).write_text("a-long-random-text\n")
    return open_command_line(monkeypatch, tmp_path, f"sqlite:///{tmp_path / 'relay.db'}")


def mapping_of(tool: str, target: str) -> dict[str, str]:
    [words] = [words for _, words in ADDED if words[3] == target]
    pairs = [words[at + 1] for at, word in enumerate(words) if word == "--mapping"]
    return dict(pair.split("=", 1) for pair in pairs)


def sent(body: Body, event_id: str) -> Any:
    """What the connector makes of the catalogue's example."""
    mapping = mapping_of(body.page, body.target) if body.target else None
    target = TargetBinding(
        id="tgt_1",
        name="tool",
        settings=Webhook.Settings(url="https://tool.example/"),
        mapping=bind_mapping(mapping),
        signing_keys=(decode_secret(SECRET),),
    )
    event, raw = example(body.event_type, event_id, bridge=body.bridge)
    assignment = Assignment(
        event=event,
        body=raw,
        content_type="application/json",
        message_id="msg_1",
        dedupe_id="",
        attempt=1,
        now=RECEIVED,
    )
    return json.loads(next(Webhook(target).deliver(assignment)).content)


def example(event_type: str, event_id: str = "evt_1", *, bridge: bool) -> tuple[Event, bytes]:
    """The event of the catalogue's example, and its bytes."""
    document = bridge_example(event_type) if bridge else dict(CATALOGUE[event_type].example)
    raw = strict_json.write(document)
    request = RawRequest(headers={}, body=raw, received_at=RECEIVED, event_type=event_type)
    reading = adapter_for("ultimate_multisite").read(request, document)
    event = event_of(reading, event_id=event_id, source="my-network", received_at=RECEIVED, hop=0)
    return event, raw


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body.page)
def test_the_body_that_a_page_shows_is_what_is_sent(body: Body):
    assert body.shown == sent(body, body.shown.get("id", "evt_1"))


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_can_be_given_like_that(page: str):
    found = commands(page)
    assert found
    for words in found:
        command: Any = typer.main.get_command(cli)
        arguments = words[1:]
        while hasattr(command, "commands"):
            command, arguments = command.commands[arguments[0]], arguments[1:]
        context = command.make_context(command.name, list(arguments))
        sent_type = context.params.get("event_type")
        assert sent_type is None or sent_type in CATALOGUE


def test_the_targets_of_the_pages_can_be_made_either_way(relay: CommandLine):
    made = {}
    for _, words in ADDED:
        relay(*words[1:])
        made[words[3]] = relay.json("targets", "show", words[3])
    for tool in TOOLS:
        [text] = re.findall(r"--data '(\{.*?\n  \})'", PAGES[tool], re.DOTALL)
        asked = json.loads(text)
        settings = {**asked.pop("settings")}
        stored = made[asked["name"]]
        assert stored["settings"]["url"] == settings["url"]
        assert stored["settings"].get("headers", {}).keys() == settings.get("headers", {}).keys()
        mapping = {name: same_quotes(text) for name, text in (stored["mapping"] or {}).items()}
        wanted = {name: same_quotes(text) for name, text in asked.pop("mapping", {}).items()}
        assert mapping == wanted
        assert {name: stored[name] for name in asked} == asked


def same_quotes(expression: str) -> str:
    """CEL takes both quotes; a shell and a JSON document prefer different ones."""
    return expression.replace('"', "'")


@pytest.mark.parametrize(("tool", "words"), ADDED, ids=[words[3] for _, words in ADDED])
def test_the_mapping_of_a_target_can_be_evaluated_for_all_its_events(tool: str, words: list[str]):
    patterns = [words[at + 1] for at, word in enumerate(words) if word == "--event"]
    values = bind_mapping(mapping_of(tool, words[3]) or None)
    for pattern in patterns:
        wanted = [name for name in CATALOGUE if fnmatchcase(name, pattern)]
        assert wanted, pattern
        for name in wanted:
            for bridge in {False, name in BRIDGE_TYPES}:
                assert values(example(name, bridge=bridge)[0]) != {}


N8N = """
const code = new (Object.getPrototypeOf(async function () {}).constructor)(
  'require', '$input', process.env.CODE);
const [body, id, timestamp, signature] = JSON.parse(process.env.REQUEST);
const headers = {
  'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signature };
const self = { helpers: { getBinaryDataBuffer: async () => Buffer.from(body, 'utf8') } };
code.call(self, require, { all: () => [{ json: { headers } }] })
  .then((made) => console.log(JSON.stringify(made[0].json)));
"""
ZAPIER = """
const [body, id, timestamp, signatures] = JSON.parse(process.env.REQUEST);
const inputData = { body, id, timestamp, signatures, secret: process.env.SECRET };
const run = new Function('require', 'inputData', 'let output;' + process.env.CODE + 'return output');
console.log(JSON.stringify(run(require, inputData)));
"""
NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="the tools run JavaScript, and there is no node here")
@pytest.mark.parametrize(("tool", "harness"), [("n8n", N8N), ("zapier", ZAPIER)])
@pytest.mark.parametrize(
    ("spoil", "refusal"),
    [
        ({}, None),
        ({"body": '{"type":"forged"}'}, "not from the relay"),
        ({"signature": "v1,"}, "not from the relay"),
        ({"timestamp": "1"}, "too old"),
        ({"timestamp": "soon"}, "too old"),
    ],
)
def test_the_code_of_the_pages_takes_what_the_relay_signed_and_nothing_else(
    tool: str, harness: str, spoil: dict[str, str], refusal: str | None
):
    [code] = blocks(tool, "javascript")
    body = '{"type":"payment_received","customer":{"name":"Zoë"}}'
    now = int(time.time())
    signature = sign("msg_1", now, body.encode(), [bytes(32), decode_secret(SECRET)])
    request = {"body": body, "id": "msg_1", "timestamp": str(now), "signature": signature} | spoil
    ran = subprocess.run(
        [NODE or "node", "--eval", harness],
        env={
            "CODE": code.replace("whsec_…", SECRET),
            "REQUEST": json.dumps(list(request.values())),
            "SECRET": SECRET,
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    if refusal is None:
        assert json.loads(ran.stdout) == {**json.loads(body), "webhook_id": "msg_1"}
    else:
        assert ran.stdout == ""
        assert refusal in ran.stderr
