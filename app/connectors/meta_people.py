"""Who an event is about, as Meta may be told: normalised, then hashed, so that it can only be matched.

SHA-256 in lower-case hex of what is left after spaces, capitals and punctuation are taken away.
Never hashed: browser identifiers and the browser's name, which have a meaning of their own.
An IP address is never sent.
Facts: developers.facebook.com, Conversions API, Customer information parameters.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from app.domain.model import Context, Customer

_ADDRESS = re.compile(r"[^@\s]+@[^@\s]+")
_NOT_LETTERS = re.compile(r"[\W_]+")
_COUNTRY = re.compile(r"[a-z]{2}")
_NOT_DIGITS = re.compile(r"\D")
_PHONE = re.compile(r"[1-9][0-9]{6,14}")
#: `_fbp` and `_fbc` cookies: version, level of the domain, milliseconds, the identifier.
_COOKIE = re.compile(r"fb\.[0-9]\.[0-9]{10,13}\.[\x21-\x7e]{1,500}")
_LONGEST_AGENT = 500


def user_data(user: str, customer: Customer | None, context: Context | None) -> dict[str, Any]:
    """The `user_data` of an event; `user` is the opaque id."""
    return {"external_id": [digest(user)], **_person(customer), **browser_data(context)}


def browser_data(context: Context | None) -> dict[str, str]:
    """What the browser is known by, as it is."""
    if context is None:
        return {}
    known = {"fbp": _cookie(context.fbp), "fbc": _cookie(context.fbc)}
    agent = (context.user_agent or "").strip()[:_LONGEST_AGENT]
    known["client_user_agent"] = agent or None
    return {name: value for name, value in known.items() if value}


def has_consent(context: Context | None) -> bool:
    """True when a browser identifier came along: senders hand them over with consent only."""
    return context is not None and bool(_cookie(context.fbp) or _cookie(context.fbc))


def digest(text: str) -> str:
    """SHA-256 as lower-case hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _person(customer: Customer | None) -> dict[str, list[str]]:
    if customer is None:
        return {}
    first, last = _names(customer)
    known: Mapping[str, str | None] = {
        "em": _email(customer.email),
        "ph": _phone(customer.phone),
        "fn": _NOT_LETTERS.sub("", first.lower()),
        "ln": _NOT_LETTERS.sub("", last.lower()),
        "country": _country(customer.country),
    }
    return {name: [digest(value)] for name, value in known.items() if value}


def _names(customer: Customer) -> tuple[str, str]:
    """First and last name; a display name is split at its first space."""
    if customer.first_name or customer.last_name:
        return customer.first_name or "", customer.last_name or ""
    first, _, last = (customer.name or "").strip().partition(" ")
    return first, last


def _email(text: str | None) -> str | None:
    address = (text or "").strip().lower()
    return address if _ADDRESS.fullmatch(address) else None


def _phone(text: str | None) -> str | None:
    """The digits of a number that begins with its country's code; any other matches nobody."""
    number = (text or "").strip()
    if not number.startswith(("+", "00")):
        return None
    digits = _NOT_DIGITS.sub("", number).lstrip("0")
    return digits if _PHONE.fullmatch(digits) else None


def _country(text: str | None) -> str | None:
    code = (text or "").strip().lower()
    return code if _COUNTRY.fullmatch(code) else None


def _cookie(text: str | None) -> str | None:
    return text if text and _COOKIE.fullmatch(text) else None
