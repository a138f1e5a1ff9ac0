"""Rows are counted also where the platform's version does not say how many there are."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.sources.ultimate_multisite_counting import count_rows
from app.sources.ultimate_multisite_rest import ApiAccess

ACCESS = ApiAccess(base_url="https://network.example", key="key", secret="secret")


def counted(there: int, *, totals: bool) -> tuple[int, int]:
    """What is counted in a collection of so many rows, and in how many requests."""
    flow = count_rows(ACCESS, "customer")
    request, requests = next(flow), 1
    try:
        while True:
            query = request.url.params
            offset = 0 if totals else int(query.get("offset", "0"))
            assert query["number" if "number" in query else "per_page"] == "1"
            rows = [{"id": str(offset + 1)}] if offset < there else []
            told = {"x-wp-total": str(there), "x-wp-totalpages": str(there)}
            answer = httpx.Response(200, json=rows, headers=told if totals else {})
            request = flow.send(answer)
            requests += 1
    except StopIteration as stop:
        return stop.value, requests


@given(st.integers(0, 5_000_000))
def test_every_row_is_counted_in_a_few_requests(there: int) -> None:
    found, requests = counted(there, totals=False)
    assert found == there
    assert requests <= 2 * there.bit_length() + 2


@pytest.mark.parametrize("there", [0, 1, 5_000])
def test_what_the_platform_says_is_believed(there: int) -> None:
    assert counted(there, totals=True) == (there, 1)
