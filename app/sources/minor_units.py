"""Money in a currency's smallest unit, as payment gateways count it.

Most currencies have two decimals; these exceptions are Stripe's (docs.stripe.com/currencies).
ISK and UGX have no decimals any more, but are still counted in hundredths for compatibility.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from app.domain.coerce import ImpossibleValue, amount

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
    """The amount in major units; None for anything but a whole number, or without a currency."""
    if type(value) is not int or currency is None:
        return None
    try:
        return amount(f"{Decimal(value).scaleb(-decimals_of(currency.upper())):f}")
    except ImpossibleValue:
        return None
