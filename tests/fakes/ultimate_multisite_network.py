"""A whole network's REST API: lists in both paging styles, webhooks, people; made from the captured answers.

Rows that are planted look as those that were captured: ids are texts in lists, amounts are texts
with four decimals, line items are an object keyed by their ids.
"""

from __future__ import annotations

import itertools
import json
import re
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from tests.fakes import Answer, Call, Fake, as_json, loopback_client
from tests.fakes.ultimate_multisite import CAPTURED, captured_reply

#: 2.4.13 pages by `page` and tells totals; 2.4.10 pages by `offset` and tells none.
Paging = Literal["page", "offset"]
COLLECTIONS = ("customer", "membership", "payment", "event", "webhook", "product")
_ROUTE = re.compile(rf"/wp-json/wu/v2/({'|'.join(COLLECTIONS)})(?:/([0-9]+))?")
_FIRST_DAY = datetime(2026, 1, 1, 8, tzinfo=UTC)
_NOT_COLUMNS = frozenset({"page", "per_page", "number", "offset", "orderby", "order"})
_NOT_COLUMNS |= {"api_key", "api_secret", "search"}
_MOST_PER_PAGE = 100
_DEFAULT_PER_PAGE = 10
_DEFAULT_NUMBER = 100
_Row = dict[str, Any]


def captured_rows(name: str) -> list[_Row]:
    """The rows of a captured list."""
    rows: list[_Row] = json.loads((CAPTURED / f"{name}.json").read_bytes())
    return rows


@dataclass
class Planted:
    """The numbers of a customer and what belongs to it, as the texts that the API shows."""

    customer: str
    user: str
    membership: str
    payment: str
    email: str


@dataclass(eq=False)
class FakeNetwork(Fake):
    """`rows` is collection to number to row, `users` number to WordPress user, `meta` what was written.

    `drops_authorization` is a host that lets no Authorization header through; `enable_api` is the
    network's own setting; `bridge` is what the plugin's status says, None where it is not installed.
    """

    paging: Paging = "page"
    key: str = "network-key"
    secret: str = "network-secret"
    wp_user: str = "relay"
    wp_password: str = "abcd efgh ijkl mnop"
    drops_authorization: bool = False
    enable_api: bool = True
    bridge: _Row | None = None
    rows: dict[str, dict[int, _Row]] = field(default_factory=dict)
    users: dict[int, _Row] = field(default_factory=dict)
    meta: dict[tuple[str, int], _Row] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
        self.rows = {name: {} for name in COLLECTIONS} | self.rows
        self._numbers = {name: itertools.count(1) for name in COLLECTIONS}
        self._user_numbers = itertools.count(2)
        self._templates = {
            name: captured_rows(f"list_{name}s.200")[0] for name in COLLECTIONS if name != "event"
        }
        self._templates["event"] = captured_rows("list_events.200")[0] | {
            "initiator": "manual",
            "object_type": "membership",
        }

    # What a test puts there.

    def plant(self, collection: str, **values: Any) -> str:
        """A row of a collection, as the captured one with these values; gives its number."""
        number = next(self._numbers[collection])
        self.rows[collection][number] = self._templates[collection] | values | {"id": str(number)}
        return str(number)

    def plant_user(self, name: str, email: str) -> str:
        """A WordPress user; gives the number."""
        number = next(self._user_numbers)
        first, _, last = name.partition(" ")
        self.users[number] = {
            "id": number,
            "username": email.partition("@")[0],
            "name": name,
            "first_name": first,
            "last_name": last,
            "email": email,
            "registered_date": "2026-01-01T08:00:00+00:00",
            "roles": ["subscriber"],
        }
        return str(number)

    def plant_customer(self, *, at: datetime | None = None, total: str = "20.0000") -> Planted:
        """A customer with a user, an active membership and a completed payment, all of moment `at`.

        Without it, each customer comes a minute after the one before.
        """
        position = len(self.rows["customer"]) + 1
        moment = at or _FIRST_DAY + timedelta(minutes=position)
        text = f"{moment:%Y-%m-%d %H:%M:%S}"
        email = f"person{position}@customer.example"
        user = self.plant_user(f"Person{position} Doe", email)
        customer = self.plant("customer", user_id=user, date_registered=text, last_login=text)
        dates = {"date_created": text, "date_modified": text}
        membership = self.plant(
            "membership",
            customer_id=int(customer),
            user_id=int(user),
            date_expiration=f"{moment + timedelta(days=30):%Y-%m-%d} 23:59:59",
            **dates,
        )
        payment = self.plant(
            "payment",
            customer_id=int(customer),
            membership_id=membership,
            total=total,
            subtotal=total,
            **dates,
        )
        return Planted(customer, user, membership, payment, email)

    def plant_customers(self, count: int) -> list[Planted]:
        """So many customers, a minute apart."""
        return [self.plant_customer() for _ in range(count)]

    def plant_checkout(self, planted: Planted, **values: Any) -> str:
        """The note that 2.4.13 keeps of a completed checkout; gives its number."""
        payment = self.rows["payment"][int(planted.payment)]
        payload = {
            "customer_id": int(planted.customer),
            "membership_id": int(planted.membership),
            "payment_id": int(planted.payment),
            "payment_total": float(payment["total"]),
            "payment_status": payment["status"],
            "plan_id": 5,
            "plan_slug": "rest-plan5",
            "cart_type": "new",
            "gateway": "",
            "is_free": False,
        }
        return self.plant(
            "event",
            slug="checkout_completed",
            object_id=planted.membership,
            date_created=payment["date_created"],
            payload=payload | values,
        )

    def webhooks(self, **columns: Any) -> list[_Row]:
        """The webhooks whose columns have these values."""
        rows = self.rows["webhook"].values()
        return [row for row in rows if all(row[name] == value for name, value in columns.items())]

    async def fire(self, event: str, body: bytes, *, lost: bool = False) -> list[int]:
        """Send an event as the platform does: once to each webhook of it, active or not.

        Gives the status of each answer; with `lost` it is counted, but never arrives.
        """
        statuses = []
        async with loopback_client() as client:
            for row in self.webhooks(event=event):
                row["event_count"] = str(int(row["event_count"]) + 1)
                if lost:
                    continue
                headers = {"content-type": "application/json"}
                answer = await client.post(row["webhook_url"], content=body, headers=headers)
                statuses.append(answer.status_code)
        return statuses

    def asked(self, method: str = "GET", path: str = "") -> list[Call]:
        """The requests of a method whose path holds `path`."""
        return [call for call in self.calls if call.method == method and path in call.path]

    # What the network answers.

    def handle(self, call: Call) -> Answer:
        if call.path.startswith("/wp-json/wp/v2/users"):
            return self._people(call)
        if call.path == "/wp-json/lifecycle-relay/v1/status" and self.bridge is not None:
            return as_json(200, self.bridge)
        if not self.enable_api or not call.path.startswith("/wp-json/wu/v2/"):
            return captured_reply("plural_customers.404")
        body = call.json if isinstance(call.json, dict) else {}
        if not self._may(call, body):
            return captured_reply("badauth.401")
        told = {name: value for name, value in body.items() if not name.startswith("api_")}
        return self._route(call, told)

    def _route(self, call: Call, told: _Row) -> Answer:
        if call.path in {"/wp-json/wu/v2/auth", "/wp-json/wu/v2/hooks"}:
            return captured_reply(f"{call.path.rpartition('/')[2]}.200")
        found = _ROUTE.fullmatch(call.path)
        if found is None:
            return captured_reply("plural_customers.404")
        if found[2] is None:
            listing = call.method == "GET"
            return self._list(found[1], call) if listing else self._create(found[1], told)
        return self._one(call.method, found[1], int(found[2]), told)

    def _list(self, collection: str, call: Call) -> Answer:
        query = call.query
        rows = [row for row in self.rows[collection].values() if _fits(row, query)]
        rows.sort(key=_by(query.get("orderby", "id")), reverse=query.get("order") != "asc")
        if self.paging == "offset":
            start = int(query.get("offset", "0"))
            return as_json(200, rows[start : start + int(query.get("number", _DEFAULT_NUMBER))])
        size = int(query.get("per_page", _DEFAULT_PER_PAGE))
        if size > _MOST_PER_PAGE:
            return as_json(400, {"code": "rest_invalid_param", "data": {"status": 400}})
        start = (int(query.get("page", "1")) - 1) * size
        totals = {"X-WP-Total": str(len(rows)), "X-WP-TotalPages": str(-(-len(rows) // size))}
        return as_json(200, rows[start : start + size], totals)

    def _create(self, collection: str, told: _Row) -> Answer:
        if collection == "webhook" and "integration" not in told:
            return captured_reply("create_webhook_noint.400")
        number = self.plant(collection, **{"event_count": "0"} | told)
        # What was just made shows its numbers as numbers.
        return as_json(200, self.rows[collection][int(number)] | {"id": int(number)})

    def _one(self, method: str, collection: str, number: int, told: _Row) -> Answer:
        row = self.rows[collection].get(number)
        if row is None:
            code = f"wu_rest_{collection}_invalid_id"
            missing = {"code": code, "message": "Item not found.", "data": {"status": 404}}
            return as_json(404, missing)
        if method == "GET":
            return as_json(200, row)
        if method == "DELETE":
            del self.rows[collection][number]
            return captured_reply("webhook_delete.200")
        if not told:
            return captured_reply("put_emptybody.500")
        if not told.keys() <= row.keys() | {"meta"}:
            return captured_reply("put_unknown.400")
        self.meta.setdefault((collection, number), {}).update(told.pop("meta", {}))
        row.update(told)
        return as_json(200, row)

    def _people(self, call: Call) -> Answer:
        basic = b64encode(f"{self.wp_user}:{self.wp_password}".encode()).decode()
        if call.headers.get("authorization") != f"Basic {basic}":
            refusal = {"code": "rest_forbidden_context", "data": {"status": 401}}
            return as_json(401, refusal)
        wanted = [int(number) for number in call.query.get("include", "").split(",") if number]
        size = int(call.query.get("per_page", _DEFAULT_PER_PAGE))
        found = [self.users[number] for number in wanted if number in self.users]
        return as_json(200, found[:size], {"X-WP-Total": str(len(found))})

    def _may(self, call: Call, body: _Row) -> bool:
        basic = b64encode(f"{self.key}:{self.secret}".encode()).decode()
        header = "" if self.drops_authorization else call.headers.get("authorization", "")
        given = {**call.query, **body}
        pair = (given.get("api_key"), given.get("api_secret"))
        return header == f"Basic {basic}" or pair == (self.key, self.secret)


def _fits(row: _Row, query: dict[str, str]) -> bool:
    """Any column filters; a name that is none is ignored, as the network does."""
    wanted = {name: value for name, value in query.items() if name not in _NOT_COLUMNS}
    return all(str(row[name]) == value for name, value in wanted.items() if name in row)


def _by(column: str) -> Callable[[_Row], Any]:
    return lambda row: int(row["id"]) if column == "id" else str(row.get(column) or "")
