"""Names and ids lead to the same thing."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from app.cli import lookup
from app.domain.errors import Conflict, NotFound
from app.services.listing import Listing


@dataclass(frozen=True)
class Thing:
    id: str
    name: str
    kind: str = "ultimate_multisite"


THINGS = [Thing("src_1", "shop"), Thing("src_2", "billing", "standard_webhooks")]


@pytest.mark.parametrize("text", ["billing", "src_2"])
def test_a_thing_is_found_by_its_name_and_by_its_id(text):
    assert lookup.pick(THINGS, text, "source") is THINGS[1]


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(NotFound, match="no source 'shpo'; there are: shop, billing"):
        lookup.pick(THINGS, "shpo", "source")


def test_a_name_that_several_have_is_refused_with_their_ids():
    twins = [Thing("key_1", "reader"), Thing("key_2", "reader")]
    with pytest.raises(Conflict, match="key_1, key_2"):
        lookup.pick(twins, "reader", "API key")
    assert lookup.pick(twins, "key_2", "API key") is twins[1]


async def test_a_list_of_many_pages_is_read_to_its_end_oldest_first():
    things = [Thing(f"src_{number:03}", f"n{number}") for number in range(450)]

    async def pages(*, limit: int, before: str | None = None) -> Listing[Thing]:
        older = [thing for thing in reversed(things) if before is None or thing.id < before]
        last = older[limit - 1].id if len(older) > limit else None
        return Listing(tuple(older[:limit]), last)

    assert await lookup.everything(pages) == things


@pytest.mark.parametrize(
    ("names", "ready"),
    [
        (["a", "my-network", "b"], "my-network"),
        (["a", "b"], "a"),
    ],
)
def test_the_source_for_examples_is_the_first_one_made(names, ready):
    sources = [Thing("src_0", "signed", "standard_webhooks"), *(Thing("src_1", n) for n in names)]
    assert lookup.ready_source(sources).name == ready


def test_another_kind_of_source_will_do():
    assert lookup.ready_source(THINGS[1:]).name == "billing"


def test_without_a_source_there_is_advice():
    with pytest.raises(NotFound, match="relay sources add"):
        lookup.ready_source([])
