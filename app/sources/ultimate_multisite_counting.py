"""How many rows a collection of Ultimate Multisite's REST API has, also where nobody says it.

2.4.13 tells the total with every page.
2.4.10 tells none: the last row is then looked for by doubling steps and halves, some thirty small
requests for a million rows.
"""

from __future__ import annotations

from app.sources.ultimate_multisite_rest import ApiAccess, Asking, list_page

#: Doublings after which a network has more rows than the relay can count to.
_MOST_DOUBLINGS = 31


def count_rows(access: ApiAccess, collection: str) -> Asking[int]:
    """How many rows the collection has at the moment.

    Raises PlatformRefused and PlatformUnavailable.
    """
    page = yield from list_page(access, collection, size=1)
    if page.total is not None:
        return page.total
    if not page.items:
        return 0
    there, beyond = 0, 1
    for _ in range(_MOST_DOUBLINGS):
        if not (yield from _has(access, collection, beyond)):
            break
        there, beyond = beyond, beyond * 2
    while beyond - there > 1:
        middle = (there + beyond) // 2
        if (yield from _has(access, collection, middle)):
            there = middle
        else:
            beyond = middle
    return beyond


def _has(access: ApiAccess, collection: str, offset: int) -> Asking[bool]:
    """Whether there is a row behind `offset` others."""
    page = yield from list_page(access, collection, f"offset:{offset}:", size=1)
    return bool(page.items)
