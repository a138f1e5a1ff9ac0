"""Whatever stands in a field, the management API answers for it: a success or a named refusal."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from tests.integration.management import management

#: Values that databases, parsers and validators have stumbled over.
HOSTILE = (
    None, True, -1, 2**63 - 1, 1e308, "", " ", "\0", "a\0b", "\n", "é" * 300, "'; DROP TABLE x; --",
    "%00", "__proto__", "x" * 100_000, [], [None], ["\0"], ["x"] * 2000, [[[]]], {}, {"": ""},
    {"\0": "\0"}, {"a/b~c": "\0"}, {"x" * 1000: 1}, {"url": "\0"}, {"__proto__": {}},
)  # fmt: skip
FIELDS = {
    "/v1/sources": ("name", "kind", "strict", "settings", "signing_secret"),
    "/v1/targets": (
        "name", "connector", "settings", "events", "sources", "filter", "mapping", "ordered",
        "retry", "rate_limit", "max_in_flight",
    ),
    "/v1/api-keys": ("name", "scope", "scopes"),
}  # fmt: skip
VALID = {
    "/v1/sources": {"name": "shop", "kind": "ultimate_multisite"},
    "/v1/targets": {
        "name": "sink",
        "connector": "webhook",
        "settings": {"url": "https://a.example/"},
    },
    "/v1/api-keys": {"name": "a", "scope": "read"},
}


@pytest.fixture
async def api(database, sealer, clock) -> AsyncIterator[httpx.AsyncClient]:
    async with management(database, sealer, clock) as made, made.client() as client:
        yield client


@pytest.mark.parametrize(
    ("path", "field"), [(path, field) for path, fields in FIELDS.items() for field in fields]
)
async def test_a_creation_answers_for_whatever_stands_in_a_field(api, path, field):
    for value in HOSTILE:
        answer = await api.post(path, json=VALID[path] | {field: value})
        assert answer.status_code in {201, 409, 422}, (field, value, answer.text[:200])
        if answer.status_code == 422:
            pointers = [error["pointer"] for error in answer.json()["errors"]]
            assert all(place == "#" or place.startswith(f"#/{field}") for place in pointers)
            assert len(answer.content) < 400_000
        else:
            assert (await api.get(path)).status_code == 200


@pytest.mark.parametrize("path", ["/v1/sources", "/v1/targets"])
async def test_a_change_answers_for_whatever_stands_in_a_field(api, path):
    made = (await api.post(path, json=VALID[path])).json()
    for field in FIELDS[path]:
        for value in HOSTILE:
            answer = await api.patch(f"{path}/{made['id']}", json={field: value})
            assert answer.status_code in {200, 422}, (field, value, answer.text[:200])
            assert (await api.get(path)).status_code == 200
