"""The network's REST API as far as customers' meta go, answering what was captured from the real one."""

from __future__ import annotations

import re
from base64 import b64encode
from pathlib import Path
from typing import Any

from tests.fakes import JSON, Answer, Call, Fake

CAPTURED = Path(__file__).parent.parent / "fixtures" / "ultimate-multisite-rest"
_CUSTOMER = re.compile(r"/wp-json/wu/v2/customer/([0-9]+)")


def captured_reply(name: str) -> Answer:
    """A reply of the real API; its status stands in the file's name."""
    body = (CAPTURED / f"{name}.json").read_bytes()
    return Answer(int(name.rpartition(".")[2]), body, JSON)


class FakeUltimateMultisite(Fake):
    """`meta` is customer number to meta; `saved` lists each customer that was saved, in order.

    A customer that is saved is what makes a bridge report an update.
    """

    def __init__(
        self, *customers: str, key: str = "network-key", secret: str = "network-secret"
    ) -> None:
        super().__init__()
        self.key, self.secret = key, secret
        self.meta: dict[str, dict[str, Any]] = {number: {} for number in customers}
        self.saved: list[str] = []

    def handle(self, call: Call) -> Answer:
        body = call.json if isinstance(call.json, dict) else {}
        if not self._may(call, body):
            return captured_reply("badauth.401")
        if call.path == "/wp-json/wu/v2/auth":
            return captured_reply("auth.200")
        found = _CUSTOMER.fullmatch(call.path)
        if found is None or call.method not in {"PUT", "PATCH", "POST"}:
            return captured_reply("plural_customers.404")
        return self._write(found[1], body)

    def _write(self, number: str, body: dict[str, Any]) -> Answer:
        if number not in self.meta:
            return captured_reply("put_missing.404")
        told = {
            name: value for name, value in body.items() if name not in {"api_key", "api_secret"}
        }
        if not told:
            return captured_reply("put_emptybody.500")
        if told.keys() != {"meta"}:
            return captured_reply("put_unknown.400")
        self.meta[number] |= told["meta"]
        self.saved.append(number)
        return captured_reply("put_meta.200")

    def _may(self, call: Call, body: dict[str, Any]) -> bool:
        basic = b64encode(f"{self.key}:{self.secret}".encode()).decode()
        if call.headers.get("authorization") == f"Basic {basic}":
            return True
        given = {**call.query, **body}
        return (given.get("api_key"), given.get("api_secret")) == (self.key, self.secret)
