"""One compiled CEL expression: checked against what there is, bounded and explained when it runs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from app.domain.expression_syntax import (
    MACROS,
    ExpressionError,
    Syntax,
    Token,
    read_syntax,
    refuse,
)
from app.domain.expression_variables import KNOWN_FIELDS, KNOWN_NAMES, MAX_STEPS, Variables

if TYPE_CHECKING:
    import cel

#: No more than this may be built at once: uses of names, times what the variables weigh.
_MAX_BUILT = 4_000_000
_MAX_MATCHED = 262_144
_MAX_PATTERN = 128
_MAX_REPETITIONS = 80
_MAX_REASON = 300

#: What the library has, less what only its optional values need.
_FUNCTIONS = (
    "bytes",
    "contains",
    "double",
    "duration",
    "dyn",
    "endsWith",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "int",
    "matches",
    "size",
    "startsWith",
    "string",
    "timestamp",
    "type",
    "uint",
)
_TYPES = ("bool", "bytes", "double", "int", "list", "map", "null_type", "string", "uint")
_REPETITION = re.compile(r"(\)?)\{\s*([0-9]+)\s*(?:,\s*([0-9]*)\s*)?\}")
#: In this mode a pattern may have spaces and comments, also inside a repetition.
_VERBOSE_MODE = re.compile(r"\(\?[A-Za-z-]*x[A-Za-z-]*[:)]")
_PARSER_NOISE = re.compile(r"\s*expecting \{.*|^Syntax error: ", re.DOTALL)
_PARSER_PLACE = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_UNDEFINED = re.compile(r"Undefined variable or function: '(\w+)'")
_LIBRARY_ADVICE = ". Check function arguments and their types."
_EXHAUSTED: Final = (
    f"takes more than {MAX_STEPS} steps (fewer for a large event), or makes more than 64 KB,"
    " in map, filter, all or exists"
)
_WRONG_TYPES: Final = (
    "the values have the wrong types for this; nothing is converted by itself"
    " (write 100.0 to calculate with an amount, or double(x), int(x), string(x))"
)


@dataclass(frozen=True, slots=True)
class Program:
    """A compiled expression with what must be checked each time it runs.

    `references` is 0 where the expression cannot make more than it reads.
    """

    name: str
    program: cel.Program
    names: tuple[str, ...]
    references: int
    metered: bool
    matches: bool

    def run(self, variables: Variables) -> Any:
        """The result as the library gives it.

        Raises:
            ExpressionError: whatever went wrong, a failure inside the library included.
        """
        meter = variables.meter
        if self.metered or self.references or self.matches:
            weight = variables.weight(self.names)
            self._check_weight(weight)
            meter.reset(weight)
        try:
            result = self.program.execute(variables.context(self.names))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - a panic of the library is no Exception
            exhausted = self.metered and meter.exhausted
            raise self._exhausted() if exhausted else self._failed(error) from None
        if self.metered and meter.exhausted:
            # An error can be swallowed on the way, as by `||` beside something true.
            raise self._exhausted()
        return result

    def _check_weight(self, weight: int) -> None:
        if weight * self.references > _MAX_BUILT or (self.matches and weight > _MAX_MATCHED):
            raise ExpressionError(self.name, "the event is too large for this expression")

    def _exhausted(self) -> ExpressionError:
        return ExpressionError(self.name, _EXHAUSTED)

    def _failed(self, error: BaseException) -> ExpressionError:
        return ExpressionError(self.name, _run_reason(error))


def compile_program(name: str, text: str, known: Sequence[str] = KNOWN_NAMES) -> Program:
    """Compile an expression that may speak of the variables `known`.

    Raises:
        ExpressionError: it does not parse, uses what there is not, or could take too long.
    """
    syntax = read_syntax(name, text)
    program = _parse(name, text)
    names = _check_names(syntax, program, known)
    check_fields(syntax)
    for pattern in syntax.patterns:
        _check_pattern(syntax, pattern)
    return Program(
        name=name,
        program=_parse(name, syntax.metered()) if syntax.has_macros else program,
        names=names,
        references=syntax.references if syntax.builds or syntax.has_macros else 0,
        metered=syntax.has_macros,
        matches=bool(syntax.patterns),
    )


def check_fields(syntax: Syntax) -> None:
    """Refuse a field that the model has not, wherever a path is written with dots.

    Raises:
        ExpressionError: names the field, and those there are.
    """
    for position, token in enumerate(syntax.tokens):
        if not syntax.is_free(position) or token.text in syntax.bound:
            continue
        fields: Any = KNOWN_FIELDS.get(token.text)
        place = position + 1
        while token.text in KNOWN_FIELDS and syntax.is_field(place):
            step = syntax.tokens[place + 1]
            if not fields:
                raise refuse(syntax, step, f"'{syntax.tokens[place - 1].text}' has no fields")
            if step.text not in fields:
                raise _unknown(syntax, step, "field", tuple(fields))
            fields = fields[step.text]
            place += 2


def _parse(name: str, text: str) -> cel.Program:
    import cel  # noqa: PLC0415 - costs 22 MiB, which a relay without expressions spares

    try:
        return cel.compile(text)
    except ValueError as error:
        raise ExpressionError(name, _parse_reason(str(error))) from None


def _check_names(syntax: Syntax, program: cel.Program, known: Sequence[str]) -> tuple[str, ...]:
    """The variables the expression reads, when it knows every name it uses."""
    used = set(program.variables())
    variables = used.difference(syntax.bound, _TYPES, known)
    functions = {name for name in program.functions() if name.isidentifier()}
    functions.difference_update(_FUNCTIONS)
    for position, token in enumerate(syntax.tokens):
        if token.text in variables and syntax.is_free(position):
            raise _unknown(syntax, token, "name", known)
        if token.text in functions and syntax.mark(position + 1) == "(":
            if token.text in MACROS:
                raise refuse(syntax, token, f"write list.{token.text}(name, expression)")
            raise _unknown(syntax, token, "function", _FUNCTIONS)
    for name in variables | functions:
        raise ExpressionError(syntax.name, f"{name} is not available in this form")
    return tuple(name for name in known if name in used)


def _unknown(syntax: Syntax, token: Token, kind: str, known: Sequence[str]) -> ExpressionError:
    close = get_close_matches(token.text, known, n=1)
    hint = f" (did you mean '{close[0]}'?)" if close else ""
    there_are = ", ".join(known)
    return refuse(syntax, token, f"unknown {kind} '{token.text}'{hint}; there are {there_are}")


def _check_pattern(syntax: Syntax, literal: Token) -> None:
    """Refuse a pattern that does not compile, or that takes long to: it is compiled at each use."""
    pattern = _parse(syntax.name, literal.text).execute({})
    if not isinstance(pattern, str) or len(pattern) > _MAX_PATTERN:
        raise refuse(syntax, literal, f"a pattern is text of at most {_MAX_PATTERN} characters")
    if _VERBOSE_MODE.search(pattern):
        raise refuse(syntax, literal, "a pattern cannot use the x flag")
    if _repetitions(pattern) > _MAX_REPETITIONS:
        raise refuse(syntax, literal, f"the pattern repeats more than {_MAX_REPETITIONS} times")
    try:
        _parse(syntax.name, f'"".matches({literal.text})').execute({})
    except RuntimeError as error:
        reason = str(error).removesuffix(_LIBRARY_ADVICE).rpartition("error: ")[2]
        raise refuse(syntax, literal, f"the pattern is not valid: {_one_line(reason)}") from None


def _repetitions(pattern: str) -> int:
    """At most how often counted repetitions multiply a part of the pattern."""
    single, groups = 0, 1
    for group, least, most in _REPETITION.findall(pattern):
        count = int(most or least)
        if group:
            groups *= count
        else:
            single += count
    return max(single, 1) * groups


def _parse_reason(text: str) -> str:
    match = _PARSER_PLACE.search(text)
    if match is None:
        return "cannot be read"
    what = _PARSER_NOISE.sub("", match[3])
    return _one_line(f"cannot be read at line {match[1]}, column {match[2]}: {what}")


def _run_reason(error: BaseException) -> str:
    text = str(error)
    if isinstance(error, KeyError):
        return _one_line(f"the event has no {text} there; ask has(…) first")
    if isinstance(error, TypeError):
        return _WRONG_TYPES
    undefined = _UNDEFINED.match(text)
    if undefined is not None:
        return f"{undefined[1]} is not available for these values"
    if not isinstance(error, Exception):
        return "made the expression library fail"
    return _one_line(text.removesuffix(_LIBRARY_ADVICE))


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_REASON else line[:_MAX_REASON] + "…"
