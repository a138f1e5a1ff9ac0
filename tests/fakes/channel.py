"""A channel behind a webhook's address, as Slack, Discord or Microsoft Teams runs one.

Rules from docs.slack.dev, discord.com/developers and learn.microsoft.com.
"""

from __future__ import annotations

from typing import Any

from tests.fakes import Answer, Call, Fake, as_json

_TEXT = {"content-type": "text/html"}


class FakeChannel(Fake):
    """`messages` is what people read, as the service would show it."""

    def __init__(self, flavour: str = "slack") -> None:
        super().__init__()
        self.flavour = flavour
        self.messages: list[str] = []
        self.removed = False
        self.messages_left: int | None = None

    @property
    def url(self) -> str:
        """The webhook's address."""
        return f"{self.base_url}/services/T000/B000/s3cret-part"

    def handle(self, call: Call) -> Answer:
        if self.removed or call.path != "/services/T000/B000/s3cret-part":
            return self._unknown()
        if self.messages_left is not None:
            self.messages_left -= 1
            if self.messages_left < 0:
                return self._too_fast()
        return {"slack": self._slack, "discord": self._discord, "teams": self._teams}[self.flavour](
            call.json
        )

    def _slack(self, document: Any) -> Answer:
        (section, context) = document["blocks"]
        if not document["text"] or len(section["text"]["text"]) > 3000:
            return Answer(400, b"invalid_payload", _TEXT)
        assert section["text"]["text"] == document["text"]
        assert context["elements"][0]["type"] == "plain_text"
        unescaped = document["text"].replace("&lt;", "<").replace("&gt;", ">")
        self.messages.append(unescaped.replace("&amp;", "&"))
        return Answer(200, b"ok", _TEXT)

    def _discord(self, document: Any) -> Answer:
        if not 0 < len(document["content"]) <= 2000:
            return as_json(400, {"content": ["Must be between 1 and 2000 in length."]})
        assert document["allowed_mentions"] == {"parse": []}
        self.messages.append(document["content"].replace("\\", ""))
        return Answer(204)

    def _teams(self, document: Any) -> Answer:
        (attachment,) = document["attachments"]
        card = attachment["content"]
        if (document["type"], card["type"]) != ("message", "AdaptiveCard"):
            return as_json(400, {"error": {"code": "InvalidTemplate", "message": "no card"}})
        self.messages.append(card["body"][0]["inlines"][0]["text"])
        return Answer(202)

    def _unknown(self) -> Answer:
        if self.flavour == "discord":
            return as_json(404, {"message": "Unknown Webhook", "code": 10015})
        return Answer(404, b"no_service", _TEXT)

    def _too_fast(self) -> Answer:
        if self.flavour == "discord":
            document = {"message": "You are being rate limited.", "retry_after": 0.65}
            return as_json(429, document)
        return Answer(429, b"rate_limited", {**_TEXT, "Retry-After": "30"})
