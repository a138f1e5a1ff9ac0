"""What a sender's JSON values mean: ids, amounts, times, flags, counts and texts.

One platform writes the same field in several types: `3` and `"3"`, `59.99` and `"59.9900"`,
`true` and `"true"`, and PHP puts `false`, `null`, `""` or `[]` where it has nothing.
Each function takes one JSON value and answers the one form the relay uses, or None when the
sender said nothing.
A value that cannot mean what is asked raises ImpossibleValue; its text says what was expected
and the JSON type that was found, never the value itself, which may be a secret.
The reader of the document knows where the value stood and adds the JSON Pointer.

Every text that is answered holds no NUL and no lone surrogate: databases refuse both.
Facts about the drifting types were observed on Ultimate Multisite 2.4.10 and 2.4.13.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeVar

#: Longest id, in characters; leaves room for the subject's prefix in a column of 255.
ID_LIMIT = 128
#: Longest e-mail address, in characters (64 before the at sign, 255 after it).
EMAIL_LIMIT = 320
#: A longer text is cut: no contact field takes more, and the body as received keeps all of it.
TEXT_LIMIT = 4096
#: Largest count: 32 bits, signed.
COUNT_LIMIT = 2**31 - 1

_AMOUNT = re.compile(r"[+-]?[0-9]{1,15}(?:\.[0-9]{0,12})?", re.ASCII)
_COUNT = re.compile(r"[0-9]{1,10}", re.ASCII)
_AMOUNT_LIMIT = 10**15
_INTEGER_LIMIT = 10**ID_LIMIT
_EXACT_FLOAT = 2**53
#: A float that prints this short has no noise.
_SHORT_FLOAT = 10
_ZERO = Decimal(0)
#: No amount of the right form is longer.
_LONGEST_AMOUNT = 64
NumberT = TypeVar("NumberT", int, float)
_NOUGHT = "0000-00-00"
_DATE_LENGTH = 10
_LOCAL_LENGTH = len("2026-11-23 19:09:31")
_NO_TIME = "must be a time: RFC 3339, or YYYY-MM-DD HH:MM:SS in UTC"
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


class ImpossibleValue(ValueError):
    """A value that cannot mean what the field stands for; `detail` is for the sender."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


def identifier(value: Any) -> str | None:
    """An id as text: 3, "3" and "cus_3" keep their meaning; 0, "0", "", null and false are none."""
    if type(value) is str:
        found = _clean(value, "an id")
        if len(found) > ID_LIMIT:
            raise ImpossibleValue(f"must be an id of at most {ID_LIMIT} characters")
        return None if found in ("", "0") else found
    if _is_nothing(value):
        return None
    number = _integer(value, "an id (a whole number or a string)")
    return None if number == 0 else str(number)


def is_zero_identifier(value: Any) -> bool:
    """True for an id that is there and is zero, as a test button sends it."""
    return value == "0" or (value == 0 and type(value) is not bool)


def amount(value: Any) -> Decimal | None:
    """Money in major units, without trailing zeros: "59.9900" and 59.99 are the same decimal.

    A formatted price ("$ 59.99", "1.234,00") is refused: its form follows the sender's settings,
    so that reading it would be a guess.
    """
    if type(value) is str:
        # What is long is long for its spaces; nothing of any length is remembered.
        return _written_amount(value if len(value) <= _LONGEST_AMOUNT else value.strip())
    if type(value) is int:
        return Decimal(_bounded(value))
    if type(value) is float:
        return _float_amount(value)
    if _is_nothing(value):
        return None
    raise _unexpected("a decimal number", value)


# Prices repeat, and a decimal is dear to make.
@lru_cache(maxsize=4096)
def _written_amount(value: str) -> Decimal | None:
    written = value.strip()
    if not written:
        return None
    if _AMOUNT.fullmatch(written) is None:
        raise ImpossibleValue("must be a plain decimal number such as 59.99")
    return _plain(written)


@lru_cache(maxsize=4096)
def _float_amount(value: float) -> Decimal:
    shortest = repr(_bounded(value))
    if len(shortest) <= _SHORT_FLOAT and "e" not in shortest:
        return Decimal(shortest.removesuffix(".0")) or _ZERO
    # A sum of floats carries noise far behind the point (0.30000000000000004): no money has it.
    # From the shortest form, not from the float: 9403530830.94 is that, not …830.940001.
    return _plain(f"{Decimal(shortest):.6f}")


def _bounded(value: NumberT) -> NumberT:
    # Infinity and nan fail this test as well.
    if not -_AMOUNT_LIMIT < value < _AMOUNT_LIMIT:
        raise ImpossibleValue("must be an amount below 1000000000000000")
    return value


def moment(value: Any) -> datetime | None:
    """A time in UTC, from `2026-11-23 19:09:31` (no zone: UTC), RFC 3339, or a bare date.

    "", null, false and MySQL's `0000-00-00 00:00:00` are none.
    """
    if type(value) is not str:
        if _is_nothing(value):
            return None
        raise _unexpected("a time (RFC 3339, or YYYY-MM-DD HH:MM:SS in UTC)", value)
    written = value.strip()
    if not written or written.startswith(_NOUGHT):
        return None
    if len(written) == _LOCAL_LENGTH and written[13] == ":" == written[16]:
        # The platform's own form; naming the zone is quicker than to replace it.
        written += "Z"
    # fromisoformat also takes week dates and undelimited forms, which no sender means.
    if len(written) < _DATE_LENGTH or written[4] != "-" or written[7] != "-":
        raise ImpossibleValue(_NO_TIME)
    try:
        found = datetime.fromisoformat(written)
        if found.tzinfo is UTC:
            return found
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ImpossibleValue(_NO_TIME) from None


def flag(value: Any) -> bool | None:
    """True or false, from a boolean, 0, 1, "true", "false", "0" or "1"; "" and null are none."""
    if type(value) is bool:
        return value
    if type(value) is int and value in (0, 1):
        return value == 1
    if type(value) is str:
        found = _FLAGS.get(value.strip().lower())
        if found is not None or not value.strip():
            return found
    elif _is_nothing(value):
        return None
    raise _unexpected("true or false", value)


def count(value: Any) -> int | None:
    """A whole number from 0 to 2147483647, from a number or its digits."""
    if type(value) is str:
        written = value.strip()
        if not written:
            return None
        if _COUNT.fullmatch(written) is None:
            raise ImpossibleValue("must be a whole number")
        value = int(written)
    if _is_nothing(value):
        return None
    number = _integer(value, "a whole number")
    if not 0 <= number <= COUNT_LIMIT:
        raise ImpossibleValue(f"must be a whole number from 0 to {COUNT_LIMIT}")
    return number


def text(value: Any) -> str | None:
    """A descriptive text, trimmed, without NULs, cut at TEXT_LIMIT; "" and false are none.

    A NUL inside is left out rather than refused: the body as received keeps it, and no
    destination takes it.
    """
    if type(value) is str:
        if value.isascii() and "\0" not in value and len(value) <= TEXT_LIMIT:
            return value.strip() or None
        found = _clean(value.replace("\0", ""), "a text")
        return (found if len(found) <= TEXT_LIMIT else found[:TEXT_LIMIT]) or None
    if _is_nothing(value):
        return None
    if type(value) is float and math.isfinite(value):
        return str(value)
    return str(_integer(value, "a text"))


def email(value: Any) -> str | None:
    """An e-mail address as the sender spells it; its form is left to the destinations."""
    if type(value) is str:
        found = _clean(value, "an e-mail address")
        if len(found) > EMAIL_LIMIT:
            raise ImpossibleValue(
                f"must be an e-mail address of at most {EMAIL_LIMIT} characters",
            )
        return found or None
    if _is_nothing(value):
        return None
    raise _unexpected("an e-mail address", value)


def _is_nothing(value: Any) -> bool:
    return value is None or value is False or value == []


def _clean(value: str, what: str) -> str:
    """The trimmed text, when a database can hold it."""
    if "\0" in value:
        raise ImpossibleValue(f"must be {what} without NUL characters")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ImpossibleValue(f"must be {what} without lone surrogates") from None
    return value.strip()


def _plain(written: str) -> Decimal:
    """The decimal without trailing zeros, an exponent or a negative nought."""
    if "." in written:
        written = written.rstrip("0").rstrip(".")
    found = Decimal(written)
    return found or _ZERO


def _integer(value: Any, what: str) -> int:
    """The whole number that a JSON number stands for; PHP also writes 3.0."""
    if type(value) is int and -_INTEGER_LIMIT < value < _INTEGER_LIMIT:
        return value
    if type(value) is float and value.is_integer() and abs(value) < _EXACT_FLOAT:
        return int(value)
    raise _unexpected(what, value)


def _unexpected(what: str, value: Any) -> ImpossibleValue:
    return ImpossibleValue(f"must be {what}, not {_json_type(value)}")


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "this number"
    if isinstance(value, str):
        return "this string"
    return "an object" if isinstance(value, dict) else "an array"
