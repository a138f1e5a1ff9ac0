"""An operator's mapping, bound to a target: destination field to the value of a CEL expression.

The expressions are compiled once, when the target is bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.connectors.base import MappingValues
from app.connectors.wording import presentable
from app.domain.expressions import ExpressionError, compile_mapping, variables_of
from app.domain.model import Event
from app.domain.outcome import Outcome, rejected


def bind_mapping(mapping: Mapping[str, str] | None) -> MappingValues:
    """The function that computes a mapping's values for an event; None gives no values.

    Raises:
        ExpressionError: an expression cannot be compiled; the function itself raises it when one
            cannot be evaluated.
    """
    if mapping is None:
        return no_mapping
    compiled = compile_mapping(dict(mapping))

    def values(event: Event) -> Mapping[str, Any]:
        return compiled.evaluate(variables_of(event))

    return values


def no_mapping(event: Event) -> None:
    """The values of a target that has no mapping."""


def unusable_mapping(error: ExpressionError) -> Outcome:
    """The outcome when a mapping cannot be evaluated for an event: the next attempt fails too."""
    return rejected(f"The target's mapping could not be evaluated: {presentable(str(error))}")
