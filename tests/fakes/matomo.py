"""Matomo's bulk tracking: it keeps the good requests, and says which were bad to who has a token.

`orders` is the table of conversions, whose key is site and order id.
`actions` are the events; nothing tells a repeated one from a new one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from tests.contract.loading import request_errors
from tests.fakes import Answer, Call, Fake, as_json

TOKEN = "0123456789abcdef0123456789abcdef"
_DAY = 86_400


class FakeMatomo(Fake):
    """One installation with the sites 1 and 2; `knows_token` is false while tokens do not work."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self.clock = clock
        self.knows_token = True
        self.tells_indices = True
        self.orders: dict[tuple[str, str], dict[str, str]] = {}
        self.actions: list[dict[str, str]] = []

    def handle(self, call: Call) -> Answer:
        if (call.method, call.path) != ("POST", "/matomo.php"):
            return Answer(404)
        if request_errors("matomo", "bulk", call.json):
            return Answer(400)
        known = self.knows_token and call.json.get("token_auth") == TOKEN
        if "token_auth" in call.json and not known:
            return as_json(401, {"status": "error", "tracked": 0})
        invalid = []
        for index, line in enumerate(call.json["requests"]):
            query = dict(parse_qsl(line.removeprefix("?")))
            if self._is_valid(query, authenticated=known):
                self._track(query)
            else:
                invalid.append(index)
        reply: dict[str, Any] = {
            "status": "success",
            "tracked": len(call.json["requests"]) - len(invalid),
            "invalid": len(invalid),
        }
        if known and self.tells_indices:
            reply["invalid_indices"] = invalid
        return as_json(200, reply)

    def _is_valid(self, query: dict[str, str], *, authenticated: bool) -> bool:
        if query.get("idsite") not in {"1", "2"} or not query.get("url"):
            return False
        age = self.clock() - float(query.get("cdt", self.clock()))
        if age > _DAY and not authenticated:
            return False
        if query.get("idgoal") == "0":
            items = json.loads(query.get("ec_items", "[]"))
            return bool(query.get("ec_id")) and all(len(item) == 5 for item in items)
        return bool(query.get("e_c")) and bool(query.get("e_a"))

    def _track(self, query: dict[str, str]) -> None:
        if query.get("idgoal") == "0":
            self.orders.setdefault((query["idsite"], query["ec_id"]), query)
        else:
            self.actions.append(query)
