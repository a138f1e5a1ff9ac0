"""Messages to a channel: Slack's incoming webhooks, and those of Discord and Microsoft Teams.

One message for each thing that happens, in plain words; a mapping of the field `text` says it in
the operator's own.
The address is the secret: whoever has it can post.
Nothing that a customer typed can call people, or hide where a link leads.
Facts: docs.slack.dev, incoming webhooks; discord.com/developers, Execute Webhook;
learn.microsoft.com, Workflows webhooks and Adaptive Cards.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import httpx
from pydantic import AfterValidator, Field, SecretStr

from app.connectors.base import Assignment, Connector, Facts, Flow, Limits, TargetBinding
from app.connectors.classify import Reply, Rule, classify
from app.connectors.lifecycle import Happening, effect_of, types_of
from app.connectors.mapping import no_mapping, unusable_mapping
from app.connectors.sentences import sentence_of, why_no_sentence
from app.connectors.settings import ConnectorSettings
from app.domain import strict_json
from app.domain.expressions import ExpressionError
from app.domain.model import Event
from app.domain.outcome import Outcome, auth_failed, gone, rejected, skipped, throttle

Flavour = Literal["slack", "discord", "teams"]

_LONGEST_URL = 2048
#: A section of Slack takes 3000 characters, a message of Discord 2000, a card of Teams 28 KB.
_LONGEST: Mapping[str, int] = {"slack": 3000, "discord": 2000, "teams": 5000}
_MARKDOWN = re.compile(r"([\\*_~`|>#\[\]()<@-])")
_SUPPRESS_EMBEDS = 4


def _as_secret_url(value: SecretStr) -> SecretStr:
    try:
        url = httpx.URL(value.get_secret_value().strip())
    except httpx.InvalidURL:
        raise ValueError("is not a URL") from None
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo or url.fragment:
        raise ValueError("must be the https:// address that the service shows for the webhook")
    # As it is sent, so that it is masked wherever it stands; the default port goes with a scheme in
    # lower case only.
    return SecretStr(str(httpx.URL(str(url))))


SecretUrl = Annotated[SecretStr, Field(max_length=_LONGEST_URL), AfterValidator(_as_secret_url)]


class SlackSettings(ConnectorSettings):
    """Which channel, of which service."""

    url: SecretUrl = Field(
        description="The webhook's address, as Slack (Incoming Webhooks), Discord (Integrations,"
        " Webhooks) or Teams (Workflows) shows it; it is kept as a secret.",
        examples=["https://hooks.slack.com/services/T000/B000/xxxx"],
    )
    flavour: Flavour = Field(
        default="slack", description="The service: `slack`, `discord` or `teams`."
    )


class Slack(Connector[SlackSettings]):
    """Says in a channel what happened."""

    name: ClassVar[str] = "slack"
    kind: ClassVar[str] = "message"
    facts: ClassVar[Facts] = Facts(
        title="Slack, Discord and Microsoft Teams",
        summary="Posts a sentence to a channel when somebody signs up, pays, is paid back, fails to"
        " pay, changes plan or leaves, and when the relay gives up on a target or delivery.",
        authentication="The webhook's address, which is a secret.",
        replay_safety="A sale is told once, whichever events announce it; a message whose answer"
        " was lost, or that is replayed, is posted again.",
        never_sent="Anything but the sentence: a customer's name (the address where there is no"
        " name), plan, amount, reason, site and domain.",
        documentation="https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks",
    )
    Settings = SlackSettings
    default_events: ClassVar[tuple[str, ...]] = (
        *types_of(*Happening),
        "membership_plan_changed",
        "membership_status_to_*",
        "customer_post_delete",
        "site_published",
        "demo_site_expiring",
        "domain_created",
        "renewal_payment_created",
        "relay.target_disabled",
        "relay.delivery_failed",
    )
    #: Slack takes a message a second, Discord thirty a minute and channel.
    limits: ClassVar[Limits] = Limits(max_in_flight=1, per_second=1.0)
    takes_tests: ClassVar[bool] = True

    def __init__(self, target: TargetBinding[SlackSettings]) -> None:
        super().__init__(target)
        settings = target.settings
        self._secret = settings.url.get_secret_value()
        self._url = httpx.URL(self._secret)
        self._quoted, self._shape = _FLAVOURS[settings.flavour]
        self._longest = _LONGEST[settings.flavour]
        self._headers = {"content-type": "application/json", "user-agent": target.user_agent}

    @classmethod
    def check_mapping(cls, fields: Sequence[str]) -> Mapping[str, str]:
        """A message has one field."""
        return {field: "A message has one field: text." for field in fields if field != "text"}

    def skip(self, event: Event) -> str | None:
        """What there is no sentence for, unless the operator has one."""
        return None if self.target.mapping is not no_mapping else why_no_sentence(event)

    def effect(self, event: Event) -> str | None:
        """A sale is told once, whichever events announce it."""
        return None if event.test else effect_of(event)

    def deliver(self, assignment: Assignment) -> Flow:
        """One message."""
        try:
            text = self._text(assignment.event)
        except ExpressionError as error:
            return unusable_mapping(error)
        if not text:
            return skipped("The mapping's text is empty for this event.")
        return (yield from self._say(text, assignment))

    def check(self, assignment: Assignment) -> Flow:
        """Post a message that says that it is a test, whatever the mapping."""
        return self._say("A test from Lifecycle Relay.", assignment)

    def _say(self, text: str, assignment: Assignment) -> Flow:
        if len(text) > self._longest:
            text = text[: self._longest - 1].rstrip() + "…"
        body = strict_json.write(self._shape(text, _context(assignment.event)))
        response = yield httpx.Request("POST", self._url, headers=self._headers, content=body)
        return classify(response, _RULES, now=assignment.now, secrets=(self._secret,))

    def _text(self, event: Event) -> str:
        values = self.target.mapping(event)
        if values is None:
            return sentence_of(event, self._quoted) or ""
        text = values.get("text")
        # Slack reads <…> as a link or a call; the rest of its markup is the operator's to use.
        said = _for_slack(text) if self._shape is _slack and isinstance(text, str) else text
        return said.strip() if isinstance(said, str) else ""


def _for_slack(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _for_discord(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)


def _slack(text: str, context: str) -> dict[str, Any]:
    return {
        "text": text,
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}},
            {"type": "context", "elements": [{"type": "plain_text", "text": context}]},
        ],
    }


def _discord(text: str, _context: str) -> dict[str, Any]:
    return {"content": text, "allowed_mentions": {"parse": []}, "flags": _SUPPRESS_EMBEDS}


def _teams(text: str, context: str) -> dict[str, Any]:
    # Runs of text are shown as they are; a TextBlock would make links of what a customer typed.
    lines = [
        {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text}]},
        {
            "type": "RichTextBlock",
            "inlines": [{"type": "TextRun", "text": context, "isSubtle": True, "size": "Small"}],
        },
    ]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": lines,
    }
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return {"type": "message", "summary": text, "attachments": [attachment]}


_FLAVOURS: Mapping[str, tuple[Callable[[str], str], Callable[[str, str], dict[str, Any]]]] = {
    "slack": (_for_slack, _slack),
    "discord": (_for_discord, _discord),
    "teams": (str, _teams),
}


def _context(event: Event) -> str:
    """Where the sentence comes from."""
    return f"{event.type} · {event.source} · {event.occurred_at:%Y-%m-%d %H:%M} UTC"


#: What Slack says, with various statuses, of a webhook, team or channel that is no more.
_NO_HOOK = frozenset(
    {
        *(b"invalid_token", b"no_active_hooks", b"no_service", b"no_service_id", b"no_team"),
        *(b"team_disabled", b"action_prohibited", b"channel_not_found"),
    }
)


def _is_off(reply: Reply) -> bool:
    return reply.response.content[:64].strip() in _NO_HOOK


def _make_another(reply: Reply) -> Outcome:
    return auth_failed(reply.reason("the webhook is gone; make another one and change url"))


def _wait_as_told(reply: Reply) -> Outcome:
    document = reply.document if isinstance(reply.document, Mapping) else {}
    seconds = document.get("retry_after")
    told = float(seconds) if isinstance(seconds, int | float) and seconds >= 0 else None
    return throttle(reply.reason(), told if reply.wait is None else reply.wait)


def _teams_refused(reply: Reply) -> bool:
    return b"failed with error" in reply.response.content[:1024]


def _as_teams_says(reply: Reply) -> Outcome:
    """Older Teams webhooks answer 200 and say in the text what went wrong."""
    if b"429" in reply.response.content[:1024]:
        return throttle(reply.reason())
    return rejected(reply.reason())


_RULES: tuple[Rule, ...] = (
    Rule({200}, _as_teams_says, _teams_refused),
    Rule(range(400, 500), _make_another, _is_off),
    Rule({404}, _make_another),
    Rule({410}, lambda reply: gone(reply.reason("the channel is archived"))),
    Rule({429}, _wait_as_told),
)
