r"""The one JSON reader and writer.

What comes from outside is read strictly: two programs that read the same bytes must not see two
different documents, and nothing may be read that the stores or the writers cannot hold.
So these are refused: bytes that are not UTF-8, a byte order mark, NaN and Infinity, numbers that
overflow a double, integers outside 64 bits, a key that stands twice in one object, nesting deeper
than 64, lone surrogates, and anything after the document.
`\u0000` inside a string is allowed: it is data, and bodies are kept as bytes.

The fast path is one parse and three scans that run in C.
The scans can only ever be too suspicious; what they suspect is looked at again exactly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, NoReturn

import orjson

from app.domain.errors import Unreadable

MAX_DEPTH = 64
_INTEGERS = range(-(2**63), 2**63)
_WHITESPACE = b" \t\r\n"
#: Every digit becomes `0` and every opening bracket `{`, so that each can be counted in one scan.
_SHAPE = bytes.maketrans(b"123456789[", b"000000000{")
#: Integers of fewer digits fit into 64 bits.
_LONG_NUMBER = b"0" * 19
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"')
_LONG_INTEGER = re.compile(rb"(?<![0-9.eE+-])-?[0-9]{19,}+(?![.eE])")
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|-?[0-9][0-9.eE+-]*+|[{}\[\]:,]')
_BRACKETS = bytes.maketrans(b"[]", b"{}")
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"{}[]")
_UNKNOWN_WORDS = ("NaN", "Infinity")
#: A place is looked for in so many tokens (about 30 ms); a longer document is refused without it.
_TOKENS_TO_SEARCH = 50_000
_SHOWN_POINTER = 200
_OPENED, _REPEATED, _TOO_LONG = "opened", "repeated", "too long"


def read_strict(body: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """Read one JSON document that came from outside.

    Args:
        body: the bytes as received.
        max_depth: how deeply arrays and objects may nest, at most 1000; `[]` is 1 deep.

    Raises:
        Unreadable: the detail says what is wrong, and where.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Unreadable(_say_what_is_wrong(body, error, max_depth)) from None
    shape = body.translate(_SHAPE, _WHITESPACE)
    containers = shape.count(b"{")
    flat = containers == 1 and type(value) is dict
    if (
        containers > max_depth
        or _LONG_NUMBER in shape
        or shape.count(b'":') != (len(value) if flat else _count_keys(value))
    ):
        _check_exactly(body, value, max_depth)
    return value


def read_trusted(body: bytes) -> Any:
    """Read a document that was read strictly before it was stored.

    Raises:
        ValueError: the bytes are not JSON, which a stored document never is.
    """
    return orjson.loads(body)


def write(value: Any) -> bytes:
    """Write a value as compact JSON.

    Dataclasses are written with all their fields.
    Datetimes are written as RFC 3339 in UTC with `Z`.
    A decimal becomes a number where a double holds it exactly as written, otherwise a string.
    NaN and infinities, which JSON has not, become null.

    Raises:
        TypeError: the value holds something that JSON cannot say, such as bytes, a datetime
            without a zone, or an integer outside 64 bits.
    """
    return orjson.dumps(value, _write_other, orjson.OPT_PASSTHROUGH_DATETIME)


def write_in_utc(value: Any) -> bytes:
    """Like `write`, for datetimes that are in UTC already, as those of events are: twice as fast.

    One of another zone would be written with its offset, one without a zone as it is.
    """
    return orjson.dumps(value, _write_other, orjson.OPT_UTC_Z)


def verbatim(document: bytes) -> Any:
    """A value that `write` puts down as these bytes, unread: they must be JSON, or a mark to find."""
    return orjson.Fragment(document)


def canonical(value: Any) -> bytes:
    """Write a value so that equal documents give equal bytes: like `write`, with sorted keys."""
    return orjson.dumps(value, _write_other, orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_SORT_KEYS)


def rfc3339(moment: datetime) -> str:
    """The moment in UTC, as `2026-11-23T19:09:31Z`; with six decimals where it has any.

    Raises:
        TypeError: the datetime has no zone.
    """
    if moment.tzinfo is None:
        raise TypeError("a datetime without a zone cannot be written")
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat().removesuffix("+00:00") + "Z"


def _write_other(value: Any) -> Any:
    if isinstance(value, Decimal):
        return _number_or_text(value)
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


@lru_cache(maxsize=4096)
def _number_or_text(value: Decimal) -> float | str:
    """The double that prints as the decimal, or its digits where no double does; prices repeat."""
    number = float(value) if value.is_finite() else None
    return number if number is not None and Decimal(repr(number)) == value else str(value)


def _count_keys(value: Any) -> int:
    """How many keys the parsed document holds, at every depth."""
    count = 0
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if type(item) is dict:
            count += len(item)
            waiting.extend(item.values())
        elif type(item) is list:
            waiting.extend(item)
    return count


def _check_exactly(body: bytes, value: Any, max_depth: int) -> None:
    """Look again at what the quick scans suspected; the strings are cut out first.

    Raises:
        Unreadable: the suspicion was right.
    """
    skeleton = _STRING.sub(b"", body)
    if _deeper_than(skeleton, max_depth):
        raise Unreadable(_depth_text(body, max_depth))
    if any(_outside_64_bits(number) for number in _LONG_INTEGER.findall(skeleton)):
        _refuse(body, "An integer is outside the range of 64 bits; send it as a string")
    if skeleton.count(b":") != _count_keys(value):
        _refuse(body, "A key stands twice in one object")


def _deeper_than(skeleton: bytes, max_depth: int) -> bool:
    """True when valid JSON without its strings nests deeper; each round peels the innermost layer."""
    brackets = skeleton.translate(_BRACKETS, _NOT_BRACKETS)
    for _ in range(max_depth):
        if not brackets:
            return False
        brackets = brackets.replace(b"{}", b"")
    return bool(brackets)


def _outside_64_bits(number: bytes) -> bool:
    # Twenty characters hold every 64-bit integer; int() of longer ones is slow, or refused.
    return len(number) > len("-9223372036854775808") or int(number) not in _INTEGERS


def _refuse(body: bytes, what: str) -> NoReturn:
    places = (steps for kind, steps in _remarkable(body) if kind is not _OPENED)
    raise Unreadable(f"{what}{_at(next(places, None))}.")


def _depth_text(body: bytes, max_depth: int) -> str:
    place = _at(_too_deep(body, max_depth))
    return f"The body nests arrays and objects deeper than {max_depth}{place}."


def _too_deep(body: bytes, max_depth: int) -> Sequence[str | int] | None:
    """The steps to the first array or object that is too deep, if it is found."""
    opened = (steps for kind, steps in _remarkable(body) if kind is _OPENED)
    return next((steps for steps in opened if len(steps) == max_depth), None)


def _remarkable(body: bytes) -> Iterator[tuple[str, list[str | int]]]:
    """What a refusal may be about, with the steps from the root to it.

    Where something is opened, a key is repeated, or an integer is too long; in valid JSON, or as
    far as it is valid.
    A stack of what is open is kept: the keys seen so far for an object, None for an array, and
    beside it the step that is being read there.
    """
    seen: list[set[str] | None] = []
    steps: list[str | int] = []
    key_follows = False
    for position, match in enumerate(_TOKEN.finditer(body)):
        token = match[0]
        if position > _TOKENS_TO_SEARCH:
            return
        if token in b"{[":
            yield _OPENED, steps
            seen.append(set() if token == b"{" else None)
            steps.append(0)
            key_follows = token == b"{"
        elif token in b"}]":
            seen.pop()
            steps.pop()
            key_follows = False
        elif token == b",":
            key_follows = seen[-1] is not None
            if not key_follows:
                steps[-1] = int(steps[-1]) + 1
        elif key_follows and token != b":":
            steps[-1] = key = str(orjson.loads(token))
            keys = seen[-1]
            if keys is None or key in keys:
                yield _REPEATED, steps
            else:
                keys.add(key)
            key_follows = False
        elif _LONG_INTEGER.fullmatch(token) and _outside_64_bits(token):
            yield _TOO_LONG, steps


def _at(steps: Sequence[str | int] | None) -> str:
    return "" if steps is None else f", at {_pointer(steps)}"


def _pointer(steps: Sequence[str | int]) -> str:
    parts = (str(step).replace("~", "~0").replace("/", "~1") for step in steps)
    pointer = "".join(["#", *(f"/{part}" for part in parts)])
    if not pointer.isprintable():
        # Keys are the sender's, and databases refuse a NUL in a text.
        pointer = "".join([c if c.isprintable() else ascii(c)[1:-1] for c in pointer])
    return pointer if len(pointer) <= _SHOWN_POINTER else pointer[:_SHOWN_POINTER] + "…"


def _say_what_is_wrong(body: bytes, error: orjson.JSONDecodeError, max_depth: int) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError as wrong:
        return _wrong_bytes(body) or (
            f"The body is not UTF-8: byte {wrong.start} is 0x{body[wrong.start]:02x}."
        )
    place = f"at line {error.lineno}, column {error.colno}"
    if error.msg.startswith("depth limit"):
        return _depth_text(body, max_depth)
    if error.msg.startswith("failed to allocate"):
        # Lists that hold nothing but lists and are never closed; the place is none in the body.
        if _too_deep(body, max_depth) is not None:
            return _depth_text(body, max_depth)
        return "The body is not valid JSON: it opens more than the parser has room for."
    if text.startswith(_UNKNOWN_WORDS, error.pos):
        return f"The body has NaN or Infinity {place}; JSON has no such numbers."
    if "infinity" in error.msg:
        return f"The body has a number {place} that is too large."
    if "surrogate" in error.msg:
        return f"The body has half of a surrogate pair {place}; the text is not valid Unicode."
    return _wrong_bytes(body) or f"The body is not valid JSON {place}: {error.msg}."


def _wrong_bytes(body: bytes) -> str | None:
    """What is wrong with the body as a whole, before anything in it is read."""
    if not body.strip(_WHITESPACE):
        return "The body is empty; it must be a JSON document."
    if body.startswith(b"\xef\xbb\xbf"):
        return "The body starts with a byte order mark; it must be plain UTF-8."
    if body.startswith((b"\xff\xfe", b"\xfe\xff")) or body.count(b"\0") * 3 > len(body):
        return "The body is UTF-16 or UTF-32; it must be UTF-8."
    return None
