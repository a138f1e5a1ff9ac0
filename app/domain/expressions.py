"""Expressions in CEL: a target's filter, and its mapping of destination fields.

An expression is compiled once and checked when it is saved: it must parse, and speak only of
variables, fields and functions that there are.
It is bounded when it runs, and whatever goes wrong then is an ExpressionError that an operator
can read.
Language: https://github.com/google/cel-spec
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from app.domain import strict_json
from app.domain.expression_program import Program, check_fields, compile_program
from app.domain.expression_syntax import ExpressionError, read_syntax
from app.domain.expression_variables import KNOWN_NAMES, Variables, variables_of

__all__ = [
    "ExpressionError",
    "FieldMapping",
    "Filter",
    "NotACondition",
    "Variables",
    "compile_filter",
    "compile_mapping",
    "variables_of",
]

MAX_FIELDS = 100
MAX_FIELD_NAME = 200
#: Bytes of JSON that the values of one mapping may come to.
MAX_RESULT = 65_536
_MAX_RESULT_DEPTH = 64
_PATH = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)\s*")
_PLAIN_TYPES = frozenset({type(None), str, bool, int})
_MISSING: Final = object()


class NotACondition(ExpressionError):
    """A filter that gives something else than true or false."""


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on events; call it with `variables_of(event)`."""

    text: str
    _program: Program

    @property
    def names(self) -> tuple[str, ...]:
        """The variables it looks at; none where it is the same for every event."""
        return self._program.names

    def __call__(self, variables: Mapping[str, Any]) -> bool:
        """Whether the event passes.

        Raises:
            ExpressionError: it could not be evaluated.
            NotACondition: the result is not a bool.
        """
        result = self._program.run(_shared(variables))
        if not isinstance(result, bool):
            kind = type(result).__name__
            raise NotACondition(self._program.name, f"gives {kind}, not true or false")
        return result


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """Destination fields, each with the expression that computes it."""

    _fields: Mapping[str, Program | _Path]

    @property
    def fields(self) -> tuple[str, ...]:
        """The destination fields, in the order they were given."""
        return tuple(self._fields)

    def evaluate(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """The values for one event, as JSON knows them; times are RFC 3339 text.

        An expression that is nothing but a path (`membership.plan.name`) leaves its field out
        when the event lacks what it names; any other expression must say so itself
        (`has(membership.plan) ? … : null`).

        Raises:
            ExpressionError: an expression could not be evaluated, or the values are too large.
        """
        shared = _shared(variables)
        values: dict[str, Any] = {}
        for field, program in self._fields.items():
            value = program.run(shared)
            if value is not _MISSING:
                values[field] = _as_json(program.name, value)
        if len(strict_json.write(values)) > MAX_RESULT:
            raise ExpressionError("mapping", f"the values come to more than {MAX_RESULT} bytes")
        return values


def compile_filter(text: str, name: str = "filter") -> Filter:
    """Compile a condition; `name` is what its errors call it.

    Raises:
        ExpressionError: says what is wrong, where, and what there is instead.
    """
    return Filter(text, compile_program(name, text))


def compile_mapping(
    expressions: Mapping[str, str], known: Sequence[str] = KNOWN_NAMES
) -> FieldMapping:
    """Compile a mapping of destination fields to expressions over the variables `known`.

    Raises:
        ExpressionError: its name is `mapping/<field>`, or `mapping` for the whole.
    """
    if len(expressions) > MAX_FIELDS:
        raise ExpressionError("mapping", f"has more than {MAX_FIELDS} fields")
    return FieldMapping(
        {field: _compile(field, text, known) for field, text in expressions.items()}
    )


@dataclass(frozen=True, slots=True)
class _Path:
    """An expression that only names a place; it needs no CEL."""

    name: str
    steps: tuple[str, ...]

    def run(self, variables: Variables) -> Any:
        value: Any = variables
        for step in self.steps:
            if not isinstance(value, dict) or step not in value:
                return _MISSING
            value = value[step]
        return value


def _compile(field: str, text: str, known: Sequence[str]) -> Program | _Path:
    if not 1 <= len(field) <= MAX_FIELD_NAME:
        raise ExpressionError("mapping", f"a field has 1 to {MAX_FIELD_NAME} characters")
    name = f"mapping/{field}"
    path = _PATH.fullmatch(text)
    if path is None or path[1].split(".")[0] not in known:
        return compile_program(name, text, known)
    check_fields(read_syntax(name, text))
    return _Path(name, tuple(path[1].split(".")))


def _shared(variables: Mapping[str, Any]) -> Variables:
    return variables if isinstance(variables, Variables) else Variables(variables)


def _as_json(name: str, value: Any, depth: int = 0) -> Any:
    """The value as JSON knows it; the library keeps no order in maps, so their keys are sorted."""
    kind = type(value)
    if kind in _PLAIN_TYPES or (kind is float and math.isfinite(value)):
        return value
    if isinstance(value, datetime):
        return strict_json.rfc3339(value)
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g}s"
    if depth > _MAX_RESULT_DEPTH:
        raise ExpressionError(name, f"the result nests deeper than {_MAX_RESULT_DEPTH}")
    if isinstance(value, list):
        return [_as_json(name, item, depth + 1) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _as_json(name, value[key], depth + 1) for key in sorted(value)}
    raise ExpressionError(name, f"gives {_kind(value)}, which JSON cannot say")


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return "a map whose keys are not text"
    if isinstance(value, float):
        return "a number that is not finite"
    return type(value).__name__
