"""What of an event may stand in Google Analytics: nothing that names a person.

Google's terms forbid e-mail addresses, names and phone numbers in any field, ids included, and
deletes properties that get them.
"""

from __future__ import annotations

import hashlib
import re

from app.connectors.lifecycle import customer_id
from app.domain.model import Customer, Event

_ADDRESS = re.compile(r"[^@\s]@[^@\s]")
_OPAQUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,99}")
_SHORTEST_PHONE = 6
_CLIENT_ID = re.compile(r"(?:GA1\.[0-9]\.)?([0-9]{1,20}\.[0-9]{1,20})")
_SESSION_ID = re.compile(r"(?:GS1\.[0-9]\.|GS2\.[0-9]\.s)?([0-9]{1,20})(?:[.$].*)?", re.DOTALL)


def names_a_person(text: str, customer: Customer | None) -> bool:
    """True when `text` holds an e-mail address, or the customer's name or phone number."""
    if _ADDRESS.search(text):
        return True
    if customer is None:
        return False
    lowered = text.casefold()
    full = f"{customer.first_name or ''} {customer.last_name or ''}".strip()
    for name in filter(None, (customer.name, full)):
        folded = name.strip().casefold()
        # One word alone may be a plan's name too; several words are a person's.
        if folded and (folded == lowered if " " not in folded else folded in lowered):
            return True
    phone = re.sub(r"\D", "", customer.phone or "")
    return len(phone) >= _SHORTEST_PHONE and phone in re.sub(r"\D", "", text)


def opaque(source: str, identifier: str) -> str:
    """`source:identifier`, which is unique over all sources; a digest of it where it may name a person.

    The decision looks at the identifier alone, so that it is the same for every event.
    """
    joined = f"{source}:{identifier}"
    if _OPAQUE.fullmatch(joined):
        return joined
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()[:40]


def user_id(event: Event) -> str | None:
    """The customer as an opaque id, None when the event is about no customer."""
    found = customer_id(event)
    return opaque(event.source, found) if found else None


def browser_client_id(event: Event) -> str | None:
    """The browser's id as gtag.js knows it; the whole `_ga` cookie is understood as well."""
    found = _CLIENT_ID.fullmatch((event.context.ga_client_id or "") if event.context else "")
    return found[1] if found else None


def stand_in_client_id(event: Event) -> str:
    """An id in the form of a browser's, always the same for one customer.

    It is made from the customer alone: a sign-up date is not in every event, and an id that
    changes with it would make two users of one customer.
    """
    whom = user_id(event) or event.subject or event.id
    digest = hashlib.sha256(whom.encode("utf-8", "surrogatepass")).digest()
    chance, moment = int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:8], "big")
    # The second half looks like unix time between 2001 and 2017, as a real one does.
    return f"{chance}.{1_000_000_000 + moment % 500_000_000}"


def session_id(event: Event) -> str | None:
    """The browser's session; the whole `_ga_<stream>` cookie is understood as well."""
    found = _SESSION_ID.fullmatch((event.context.ga_session_id or "") if event.context else "")
    return found[1] if found else None
