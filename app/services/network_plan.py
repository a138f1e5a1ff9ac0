"""What there is to do so that a network sends its events here: a plan, from what was found there.

Pure: nothing is asked and nothing is changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

import httpx

from app.domain.catalogue import BUILT_IN_TYPES, CATALOGUE, MODEL_TYPES
from app.domain.errors import FieldError, ValidationFailed
from app.services.network_webhooks import LONGEST_URL, Webhook, made_for, url_of

_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})
#: Characters of a source's token.
_TOKEN = 32


class Way(StrEnum):
    """How the events come: by the bridge plugin, by built-in webhooks, or by what is there."""

    AUTO = "auto"
    BRIDGE = "bridge"
    WEBHOOKS = "webhooks"


class StepKind(StrEnum):
    """What a step changes, here or at the network."""

    CREATE_SOURCE = "create_source"
    STORE_ACCESS = "store_access"
    NEW_TOKEN = "new_token"  # noqa: S105  the name of a step
    NEW_SECRET = "new_secret"  # noqa: S105  the name of a step
    CREATE_WEBHOOK = "create_webhook"
    CHANGE_WEBHOOK = "change_webhook"
    DELETE_WEBHOOK = "delete_webhook"
    COUNT = "count"
    RECOUNT = "recount"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do, in words; `event` and `webhook_id` where it is about a webhook."""

    kind: StepKind
    sentence: str
    event: str = ""
    webhook_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The steps in their order, and what else the operator should know."""

    way: Way
    steps: Sequence[Step]
    notes: Sequence[str]
    removes: bool = False

    def has(self, kind: StepKind) -> bool:
        """Whether a step of this kind is in it."""
        return any(step.kind is kind for step in self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """What is known of the bridge plugin: what it says itself, and when an event of it came.

    `handed_out_at` is when its constants were printed by this command.
    """

    installed: bool = False
    version: str = ""
    configured: bool = False
    seen_at: datetime | None = None
    handed_out_at: datetime | None = None

    @property
    def works(self) -> bool:
        """Whether an event of it reached this source."""
        return self.seen_at is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What was found, here and at the network.

    `source_id` is None where the source is still to be made; `token` is one that the source takes,
    where it is known; `hooks` are the types the network knows; `counted` are the webhooks whose
    count is remembered; `overlap` is how many seconds an old credential stays valid.
    """

    network: str
    address: str
    source: str
    source_id: str | None
    ingest_url: str
    access_stored: bool
    token: str | None = field(default=None, repr=False)
    hooks: frozenset[str]
    webhooks: Sequence[Webhook]
    bridge: Bridge
    counted: frozenset[str]
    overlap: int


def plan(
    found: Situation, way: Way = Way.AUTO, *, recount: bool = False, new_secret: bool = False
) -> Plan:
    """What to do; `new_secret` makes new constants for the bridge, whatever was found.

    Raises ValidationFailed when a webhook's URL would be too long.
    """
    if way is Way.AUTO:
        there = found.bridge.installed or found.bridge.works
        way = Way.BRIDGE if there else Way.WEBHOOKS
    steps = list(_source_steps(found))
    notes = [_about_bridge(found, way)]
    ours, others = made_for(found.webhooks, found.source_id, found.ingest_url)
    if way is Way.BRIDGE:
        more, told = _bridge_steps(found, ours, new_secret=new_secret)
    else:
        more, told = _webhook_steps(found, ours)
    steps += more
    notes += told
    if _only_here(found):
        notes.append(
            f"The network would send to {found.ingest_url}, which is this machine alone: set"
            " RELAY_PUBLIC_URL to the address that it can reach."
        )
    if others:
        numbers = ", ".join(f"#{webhook.id} ({webhook.event})" for webhook in others)
        notes.append(
            f"These webhooks also lead to the source, but were not made by this command; they are"
            f" left alone: {numbers}."
        )
    kept = () if way is Way.BRIDGE and found.bridge.works else ours
    steps += _count_steps(found, steps, kept, recount=recount and way is Way.WEBHOOKS)
    return Plan(way=way, steps=steps, notes=notes)


def removal(found: Situation) -> Plan:
    """How to undo it: the webhooks that were made here are deleted, since nothing else stops them."""
    ours, _ = made_for(found.webhooks, found.source_id, found.ingest_url)
    stays = f"The source {found.source} and its events stay"
    notes = [f"{stays}; remove it with: relay sources remove {found.source}"]
    if found.bridge.installed:
        notes.append("The bridge plugin goes on sending until it is deactivated at the network.")
    steps = [_delete(webhook) for webhook in ours]
    return Plan(
        way=Way.WEBHOOKS,
        steps=[*steps, *_count_steps(found, steps, (), recount=False)],
        notes=notes,
        removes=True,
    )


def wanted_types(hooks: frozenset[str]) -> tuple[str, ...]:
    """The types worth a webhook: those that really fire, as far as this network knows them.

    Networks list types that never fire; the model events of old versions are listed only where
    they do.
    """
    return tuple(name for name in (*BUILT_IN_TYPES, *MODEL_TYPES) if name in hooks)


def _only_here(found: Situation) -> bool:
    here, there = httpx.URL(found.ingest_url).host, httpx.URL(found.address).host
    return here in _THIS_MACHINE and there not in _THIS_MACHINE


def _source_steps(found: Situation) -> Iterable[Step]:
    if found.source_id is None:
        yield Step(
            StepKind.CREATE_SOURCE,
            f"Make the source {found.source}, with the API keys of {found.address} sealed in it.",
        )
    elif not found.access_stored:
        yield Step(
            StepKind.STORE_ACCESS,
            f"Keep the API keys of {found.address}, sealed, in the source {found.source}.",
        )


def _about_bridge(found: Situation, way: Way) -> str:
    bridge = found.bridge
    if bridge.works and bridge.seen_at is not None:
        return f"The bridge plugin sends: its newest event came at {bridge.seen_at:%Y-%m-%d %H:%M} UTC."
    if bridge.installed:
        state = "has an address and a secret" if bridge.configured else "is not configured yet"
        return f"The bridge plugin {bridge.version} is installed and {state}.".replace("  ", " ")
    if way is Way.BRIDGE:
        return "The bridge plugin was not found at the network: install it, then add the constants."
    return (
        "The bridge plugin was not found. Built-in webhooks are sent once, without retries, and"
        " there are none for checkouts, cancellations and renewals: see docs/wordpress-bridge.md."
    )


def _bridge_steps(
    found: Situation, ours: Sequence[Webhook], *, new_secret: bool
) -> tuple[list[Step], list[str]]:
    steps: list[Step] = []
    notes: list[str] = []
    bridge = found.bridge
    known = bridge.configured or bridge.works or bridge.handed_out_at is not None
    if found.source_id is not None and (new_secret or not known):
        sentence = (
            "Make a new signing secret for the bridge, since the old one cannot be shown again."
            f" {_overlapping(found)} The token stays."
        )
        steps.append(Step(StepKind.NEW_SECRET, sentence))
    elif bridge.configured and not bridge.works:
        notes.append(
            "No event of the bridge was seen at this source lately. Press 'Send a test event' on"
            " its page at the network; if none comes, make new constants with --new-secret."
        )
    elif bridge.handed_out_at and not bridge.works:
        notes.append(
            f"The constants were printed at {bridge.handed_out_at:%Y-%m-%d %H:%M} UTC: put them into"
            " wp-config.php, or make new ones with --new-secret."
        )
    if ours and found.bridge.works:
        steps += [_delete(one, ": the bridge sends it as well") for one in ours]
    elif ours:
        notes.append(
            "The built-in webhooks stay until an event of the bridge has come; run this again then."
        )
    return steps, notes


def _webhook_steps(found: Situation, ours: Sequence[Webhook]) -> tuple[list[Step], list[str]]:
    wanted = wanted_types(found.hooks)
    _check_lengths(found, wanted)
    steps: list[Step] = []
    first: dict[str, Webhook] = {}
    for webhook in ours:
        if webhook.event not in wanted or webhook.event in first:
            steps.append(_delete(webhook, ": it never fires, or is there twice"))
        else:
            first[webhook.event] = webhook
    for event in wanted:
        there = first.get(event)
        if there is None:
            sentence = f"Make a webhook for {event}: {CATALOGUE[event].summary}."
            steps.append(Step(StepKind.CREATE_WEBHOOK, sentence, event))
        elif found.token is None or there.url != url_of(found.ingest_url, event, found.token):
            sentence = f"Lead webhook #{there.id} ({event}) to {found.ingest_url}/{event}?token=…"
            steps.append(Step(StepKind.CHANGE_WEBHOOK, sentence, event, there.id))
    if found.source_id is not None and found.token is None and _needs_token(steps):
        sentence = (
            "Make a new token, since the old one cannot be shown again."
            f" {_overlapping(found)} The signing secret stays."
        )
        steps.insert(0, Step(StepKind.NEW_TOKEN, sentence))
    unknown = [name for name in BUILT_IN_TYPES if name not in found.hooks]
    notes = [f"This version of the plugin does not know {', '.join(unknown)}."] if unknown else []
    return steps, notes


def _check_lengths(found: Situation, wanted: Sequence[str]) -> None:
    longest = max((len(url_of(found.ingest_url, name, "x" * _TOKEN)) for name in wanted), default=0)
    if longest > LONGEST_URL:
        detail = (
            f"The longest URL of this source would have {longest} characters, and the network keeps"
            f" {LONGEST_URL} at most; use a shorter RELAY_PUBLIC_URL or a shorter name."
        )
        raise ValidationFailed(detail, errors=[FieldError("#/name", detail)])


def _needs_token(steps: Sequence[Step]) -> bool:
    return any(step.kind in {StepKind.CREATE_WEBHOOK, StepKind.CHANGE_WEBHOOK} for step in steps)


def _delete(webhook: Webhook, why: str = "") -> Step:
    sentence = f"Delete webhook #{webhook.id} ({webhook.event}){why}."
    return Step(StepKind.DELETE_WEBHOOK, sentence, webhook.event, webhook.id)


def _overlapping(found: Situation) -> str:
    if not found.overlap:
        return "The old one is refused from then on."
    return f"The old one stays valid for {found.overlap / 3600:g} hours."


def _count_steps(
    found: Situation, steps: Sequence[Step], kept: Sequence[Webhook], *, recount: bool
) -> Iterable[Step]:
    deleted = {step.webhook_id for step in steps if step.kind is StepKind.DELETE_WEBHOOK}
    there = {webhook.id for webhook in kept} - deleted
    made = any(step.kind is StepKind.CREATE_WEBHOOK for step in steps)
    if recount:
        sentence = "Count anew from now on: what is missing so far is forgotten."
        yield Step(StepKind.RECOUNT, sentence)
    elif made or there - found.counted:
        sentence = (
            "Remember how often each webhook has fired, so that relay check can tell what was lost."
        )
        yield Step(StepKind.COUNT, sentence)
    elif found.counted - there - deleted:
        yield Step(StepKind.COUNT, "Forget the counts of webhooks that are gone.")
