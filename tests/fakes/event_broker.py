"""A broker that takes CloudEvents 1.0 in structured and binary mode, and each of them once.

Rules from github.com/cloudevents/spec, version 1.0.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import unquote_to_bytes

from tests.fakes import Answer, Call, Fake

_NAME = re.compile(r"[a-z0-9]{1,20}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_REQUIRED = ("specversion", "id", "source", "type")


class FakeEventBroker(Fake):
    """`events` goes by source and id; `repeats` counts what was there already."""

    def __init__(self, token: str | None = None) -> None:
        super().__init__()
        self.token = token
        self.events: dict[tuple[str, str], dict[str, Any]] = {}
        self.repeats = 0

    def handle(self, call: Call) -> Answer:
        if self.token and call.headers.get("authorization") != f"Bearer {self.token}":
            return Answer(401)
        media_type = call.headers.get("content-type", "").partition(";")[0].lower()
        if media_type == "application/cloudevents-batch+json":
            return Answer(415)
        event = (
            call.json if media_type == "application/cloudevents+json" else _binary(call, media_type)
        )
        wrong = problems(event)
        if wrong:
            return Answer(400, "; ".join(wrong).encode())
        key = (event["source"], event["id"])
        self.repeats += key in self.events
        self.events.setdefault(key, event)
        return Answer(202)


def _binary(call: Call, media_type: str) -> dict[str, Any]:
    event: dict[str, Any] = {"datacontenttype": media_type, "data": json.loads(call.body)}
    for name, value in call.headers.items():
        if name.startswith("ce-"):
            event[name.removeprefix("ce-")] = unquote_to_bytes(value).decode()
    if "ce-datacontenttype" in call.headers:
        event["specversion"] = "the type of the data stands twice"
    return event


def problems(event: Any) -> list[str]:
    """What is wrong with an event, empty when nothing is."""
    if not isinstance(event, dict):
        return ["no event"]
    found = [f"{name} is missing" for name in _REQUIRED if not event.get(name)]
    found += [f"{name} is no name" for name in event if not _NAME.fullmatch(name)]
    if event.get("specversion") != "1.0":
        found.append(f"specversion {event.get('specversion')}")
    if not _TIME.fullmatch(event.get("time", "")):
        found.append("time is not RFC 3339")
    if event.get("subject", "x") == "":
        found.append("subject is empty")
    return found
