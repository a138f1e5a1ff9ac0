"""Last names, for CRMs that make no contact without one.

People of the platform may have one name, or none.
A name that had to be found is good enough for a new contact, and never written over one that is
there.
"""

from __future__ import annotations


def last_name_of(first: str | None, last: str | None) -> tuple[str | None, str | None]:
    """First and last name; the last word of a first name stands in for a missing last name.

    The second is None when there is neither.
    """
    if last:
        return first, last
    words = (first or "").split()
    if not words:
        return None, None
    return " ".join(words[:-1]) or None, words[-1]


def stand_in_name(email: str | None, longest: int) -> str | None:
    """What somebody without any name is called: the address up to its @."""
    return email.partition("@")[0][:longest] or None if email else None
