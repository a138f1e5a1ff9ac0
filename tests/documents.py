"""JSON documents of any shape, for property tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

#: As deep as `st.recursive` gets with twenty-five leaves.
_LEVELS = 5


def documents(
    scalars: st.SearchStrategy[Any],
    keys: st.SearchStrategy[str],
    *,
    items: int = 3,
    members: int = 6,
) -> st.SearchStrategy[Any]:
    """A scalar, or lists and objects of them, in one another.

    `st.recursive` counts leaves and draws anew what has too many, which takes four times as long.
    """
    found = scalars
    for _ in range(_LEVELS):
        # What is deeper is tried as often as what is flat: each level adds itself.
        found |= st.lists(found, max_size=items) | st.dictionaries(keys, found, max_size=members)
    return found
