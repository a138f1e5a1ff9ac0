"""What an expression may contain, decided before the CEL library sees it.

The library parses with a recursive parser that overruns a small stack, copies the list that a
`map` or `filter` builds at every step, and compiles a regular expression each time it is met.
So an expression is split into tokens here first: nesting, macros and patterns are bounded, and
every macro body is wrapped in a meter (see `Syntax.metered`) that stops it at run time.
The token rules are those of CEL's own grammar.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

MAX_TEXT = 2_000
MAX_BRACKETS = 24
MAX_MACRO_DEPTH = 2
#: What one macro step can build grows with the number of names in the expression.
MAX_REFERENCES_WITH_MACROS = 64
MAX_PATTERNS = 4

MACROS = frozenset({"all", "exists", "exists_one", "existsOne", "filter", "map"})
#: The function the meter is called by; names with two underscores in front are reserved.
STEP = "__step"
_RESERVED = "__"
_WORDS = frozenset({"true", "false", "null", "in"})
_OPENING = {"(": ")", "[": "]", "{": "}"}
_CLOSING = frozenset(_OPENING.values())
#: `list.map(name, test, value)` has so many arguments.
_WITH_TEST = 3
_BUILDERS = frozenset({"+", "[", "{"})

_TOKEN = re.compile(
    r"""
    (?P<space>   [\ \t\r\n\f]+ | //[^\n]* )
  | (?P<string>
        [bB]?[rR](?: \"{3}(?s:.*?)\"{3} | '{3}(?s:.*?)'{3} | "[^"\r\n]*" | '[^'\r\n]*' )
      | [bB]?(?: \"{3}(?s:\\.|[^\\])*?\"{3} | '{3}(?s:\\.|[^\\])*?'{3}
               | "(?:\\.|[^"\\\r\n])*" | '(?:\\.|[^'\\\r\n])*' ) )
  | (?P<name>    [A-Za-z_][A-Za-z0-9_]* )
  | (?P<number>  0x[0-9a-fA-F]+[uU]? | (?:[0-9]+\.[0-9]+|\.[0-9]+)(?:[eE][+-]?[0-9]+)?
               | [0-9]+[eE][+-]?[0-9]+ | [0-9]+[uU]? )
  | (?P<mark>    && | \|\| | [=!<>]= | [-+*/%<>!?:.,()\[\]{}] )
    """,
    re.VERBOSE,
)


class ExpressionError(ValueError):
    """An expression that cannot be used, or that failed on an event.

    `name` says which one (`filter`, `mapping/plan`), `reason` what is wrong, in one line.
    """

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


class Token(NamedTuple):
    """A piece of an expression; `kind` is string, name, number or mark."""

    kind: str
    text: str
    start: int
    end: int


@dataclass(slots=True)
class _Open:
    """A bracket that is not closed yet; `macro` when it holds a macro's arguments."""

    closing: str
    first: int
    macro: str = ""
    commas: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Syntax:
    """What was found out about an expression without evaluating it.

    `bound` are the names that macros introduce, `references` counts the uses of any name,
    `patterns` are the literals given to `matches`, `builds` is true when it can make values
    larger than those it reads.
    """

    name: str
    text: str
    tokens: list[Token]
    bound: set[str] = field(default_factory=set)
    patterns: list[Token] = field(default_factory=list)
    references: int = 0
    builds: bool = False
    _edits: list[tuple[int, str]] = field(default_factory=list)

    @property
    def has_macros(self) -> bool:
        """True when the metered text differs from the text."""
        return bool(self._edits)

    def metered(self) -> str:
        """The text with each macro body `e` written `[(e)].map(__v, __step(__v) ? __v : [][0])[0]`.

        The function `__step` is given what the step made; when it answers false, the index out
        of bounds ends the evaluation.
        `map` and `filter` keep elements as well, so theirs are given too.
        """
        text = self.text
        for position, insertion in sorted(self._edits, reverse=True):
            text = text[:position] + insertion + text[position:]
        return text

    def is_free(self, position: int) -> bool:
        """True when the token is a name that stands for a variable, not for a field or a call."""
        token = self.tokens[position]
        return (
            token.kind == "name"
            and token.text not in _WORDS
            and self.mark(position - 1) != "."
            and self.mark(position + 1) != "("
        )

    def is_field(self, position: int) -> bool:
        """True when `.name` begins at the position, and is not a call."""
        return self.mark(position) == "." and self.mark(position + 2) != "("

    def mark(self, position: int) -> str:
        """The token's text when it is a mark, empty for anything else or beyond the ends."""
        if 0 <= position < len(self.tokens) and self.tokens[position].kind == "mark":
            return self.tokens[position].text
        return ""

    def meter(self, body: tuple[int, int], carried: str) -> None:
        """Plan the insertions around the tokens of a macro's body."""
        first, last = body
        given = f"__v, {carried}" if carried else "__v"
        self._edits.append((self.tokens[first].start, "[("))
        self._edits.append(
            (self.tokens[last].end, f")].map(__v, {STEP}({given}) ? __v : [][0])[0]")
        )


def read_syntax(name: str, text: str) -> Syntax:
    """Split and check an expression.

    Raises:
        ExpressionError: it is too long, too deeply nested, or has something that is not allowed.
    """
    if len(text) > MAX_TEXT:
        raise ExpressionError(name, f"is longer than {MAX_TEXT} characters")
    syntax = Syntax(name, text, _split(name, text))
    if not syntax.tokens:
        raise ExpressionError(name, "is empty")
    _walk(syntax)
    syntax.references = sum(map(syntax.is_free, range(len(syntax.tokens))))
    if syntax.has_macros and syntax.references > MAX_REFERENCES_WITH_MACROS:
        raise ExpressionError(
            name, f"uses more than {MAX_REFERENCES_WITH_MACROS} names beside a macro"
        )
    return syntax


def refuse(syntax: Syntax, token: Token, reason: str) -> ExpressionError:
    """The error that points at a token."""
    line = syntax.text.count("\n", 0, token.start) + 1
    column = token.start - (syntax.text.rfind("\n", 0, token.start) + 1) + 1
    place = f"line {line}, column {column}" if line > 1 else f"column {column}"
    return ExpressionError(syntax.name, f"{reason} ({place})")


def _split(name: str, text: str) -> list[Token]:
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ExpressionError(name, f"cannot be read from column {position + 1} on")
        kind = str(match.lastgroup)
        if kind != "space":
            tokens.append(Token(kind, match[0], position, match.end()))
        position = match.end()
    return tokens


def _walk(syntax: Syntax) -> None:
    """Follow the brackets, and look at everything that is bounded."""
    opened: list[_Open] = []
    for position, token in enumerate(syntax.tokens):
        if token.kind == "name":
            _check_name(syntax, position, inside_macro=any(frame.macro for frame in opened))
        elif token.kind != "mark":
            continue
        elif token.text in _OPENING:
            opened.append(_open(syntax, position, opened))
        elif token.text in _CLOSING:
            if not opened or opened[-1].closing != token.text:
                raise refuse(syntax, token, f"'{token.text}' closes nothing")
            frame = opened.pop()
            if frame.macro:
                _close_macro(syntax, frame, position)
        elif token.text == "," and opened:
            opened[-1].commas.append(position)
        syntax.builds |= token.text in _BUILDERS
    if opened:
        raise refuse(syntax, syntax.tokens[opened[-1].first - 1], "the bracket is never closed")


def _open(syntax: Syntax, position: int, opened: Sequence[_Open]) -> _Open:
    token = syntax.tokens[position]
    if len(opened) >= MAX_BRACKETS:
        raise refuse(syntax, token, f"nests brackets deeper than {MAX_BRACKETS}")
    before = syntax.tokens[position - 1] if position else token
    if token.text == "{" and before.kind == "name" and before.text not in _WORDS:
        raise refuse(syntax, before, 'typed messages are not available; write {"key": value}')
    called = token.text == "(" and before.text in MACROS and syntax.mark(position - 2) == "."
    frame = _Open(_OPENING[token.text], position + 1, before.text if called else "")
    if called and sum(bool(outer.macro) for outer in opened) >= MAX_MACRO_DEPTH:
        raise refuse(
            syntax, before, f"nests map, filter, all or exists over {MAX_MACRO_DEPTH} deep"
        )
    return frame


def _close_macro(syntax: Syntax, frame: _Open, closing: int) -> None:
    """Note the name a macro binds, and meter its bodies; a wrong form is left to the library."""
    ends = [*frame.commas, closing]
    starts = [frame.first, *(comma + 1 for comma in frame.commas)]
    arguments = [(start, end - 1) for start, end in zip(starts, ends, strict=True)]
    binder = syntax.tokens[frame.first]
    if len(arguments) not in {2, _WITH_TEST} or arguments[0] != (frame.first, frame.first):
        return
    if binder.text.startswith(_RESERVED):
        raise refuse(syntax, binder, "names that begin with two underscores are reserved")
    syntax.bound.add(binder.text)
    keeps_elements = frame.macro == "filter" or len(arguments) == _WITH_TEST
    for body in arguments[1:]:
        if body[0] <= body[1]:
            syntax.meter(body, binder.text if keeps_elements else "")


def _check_name(syntax: Syntax, position: int, *, inside_macro: bool) -> None:
    token = syntax.tokens[position]
    if token.text != "matches" or syntax.mark(position + 1) != "(":
        return
    if inside_macro:
        raise refuse(
            syntax, token, "matches is not available here; use contains, startsWith or endsWith"
        )
    pattern = syntax.tokens[position + 2] if position + 2 < len(syntax.tokens) else token
    if pattern.kind != "string" or syntax.mark(position + 3) != ")":
        raise refuse(syntax, token, 'matches takes one literal pattern: text.matches("pattern")')
    syntax.patterns.append(pattern)
    if len(syntax.patterns) > MAX_PATTERNS:
        raise refuse(syntax, token, f"uses matches more than {MAX_PATTERNS} times")
