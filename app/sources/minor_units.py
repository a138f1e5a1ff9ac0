"""Money in a currency's smallest unit, as payment gateways count it.

Most currencies have two decimals; these exceptions are Stripe's (docs.stripe.com/currencies).
ISK and UGX have no decimals any more, but are still counted in hundredths for compatibility.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from app.domain.coerce import ImpossibleValue, amount

_DECIMAL = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,12})?", re.ASCII)
_NO_DECIMALS = frozenset(
    {
        "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF",
        "XOF", "XPF",
    }
)  # fmt: skip
_THREE_DECIMALS = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})


def decimals_of(currency: str) -> int:
    """How many decimals the currency (ISO 4217, in capitals) is counted with."""
    if currency in _NO_DECIMALS:
        return 0
    return 3 if currency in _THREE_DECIMALS else 2


def from_minor_units(value: Any, currency: str | None) -> Decimal | None:
    """The amount in major units; None for what is no number of units, or without a currency.

    A price can be a part of a unit; it is then a text (`"0.5"`).
    """
    written = isinstance(value, str) and _DECIMAL.fullmatch(value)
    if currency is None or not (type(value) is int or written):
        return None
    try:
        return amount(f"{Decimal(value).scaleb(-decimals_of(currency.upper())):f}")
    except ImpossibleValue:
        return None
