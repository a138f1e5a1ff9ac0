"""What an expression can speak of: the variables of an event, and what they weigh."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from app.domain.expression_syntax import STEP
from app.domain.model import Context, Customer, Domain, Event, Membership, Payment, Site

if TYPE_CHECKING:
    import cel

_OBJECTS: dict[str, type] = {
    "customer": Customer,
    "membership": Membership,
    "payment": Payment,
    "site": Site,
    "domain": Domain,
    "context": Context,
}
#: The top-level names, in the order they are told to an operator.
KNOWN_NAMES = (
    "id",
    "type",
    "source",
    "subject",
    "test",
    "occurred_at",
    "received_at",
    "data",
    *_OBJECTS,
)

#: A node weighs this much, a string its characters besides.
_NODE = 8
MAX_STEPS = 1_000
#: Each step may look at all the variables: fewer steps for heavy ones.
_MAX_STEPS_TIMES_WEIGHT = 128_000_000
_MAX_STEP_WEIGHT = 65_536


def _fields_of(model: type) -> dict[str, Any]:
    """The fields of a model, each with the fields of the model it holds, or None for a value."""
    fields: dict[str, Any] = {}
    for name, hint in get_type_hints(model).items():
        inner = [kind for kind in get_args(hint) if dataclasses.is_dataclass(kind)]
        fields[name] = _fields_of(inner[0]) if inner and isinstance(inner[0], type) else None
    return fields


#: Object name to its fields, so that a misspelt field is found when an expression is saved.
KNOWN_FIELDS = {name: _fields_of(model) for name, model in _OBJECTS.items()}
_FIELD_NAMES: dict[type, tuple[str, ...]] = {}
_PLAIN_TYPES = frozenset({str, bool, int, datetime})


class Variables(dict[str, Any]):
    """The variables of one event, converted for the CEL library once, and only those in use.

    Expressions of all targets that the event goes to share them; use them in one thread.
    """

    __slots__ = ("_context", "_loaded", "_weights", "meter")

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.meter = Meter()
        self._context: cel.Context | None = None
        self._loaded: set[str] = set()
        self._weights: dict[str, int] = {}

    def context(self, names: Iterable[str]) -> cel.Context:
        """The evaluation context in which at least these names are set."""
        import cel  # noqa: PLC0415 - costs 22 MiB, which a relay without expressions spares

        if self._context is None:
            self._context = cel.Context({}, {STEP: self.meter.step})
        for name in names:
            if name not in self._loaded and name in self:
                self._context.add_variable(name, self[name])
                self._loaded.add(name)
        return self._context

    def weight(self, names: Iterable[str]) -> int:
        """How much these variables weigh together: 8 for each node, and a string's characters."""
        total = 0
        for name in names:
            weight = self._weights.get(name)
            if weight is None:
                weight = self._weights[name] = _weigh(self.get(name))
            total += weight
        return total


class Meter:
    """Counts the steps of an evaluation's macros, and what they make."""

    __slots__ = ("_steps_left", "_weight_left")

    def __init__(self) -> None:
        self.reset()

    def reset(self, weight: int = 0) -> None:
        """Begin a new evaluation that reads variables of this weight."""
        self._steps_left = min(MAX_STEPS, _MAX_STEPS_TIMES_WEIGHT // max(weight, 1))
        self._weight_left = _MAX_STEP_WEIGHT

    @property
    def exhausted(self) -> bool:
        """True when the evaluation went too far."""
        return self._steps_left < 0 or self._weight_left < 0

    def step(self, *made: object) -> bool:
        """Note one step; false when the evaluation must end."""
        self._steps_left -= 1
        self._weight_left -= sum(map(_weigh, made)) - _NODE
        return not self.exhausted


def variables_of(event: Event) -> Variables:
    """The variables of an event, as plain values.

    Objects hold only what the sender said: a field that is None in the model is missing, and an
    object that is None is empty, so that `has(payment.total)` is false for both.
    Amounts are doubles, times are CEL timestamps.
    """
    values: dict[str, Any] = {
        "id": event.id,
        "type": event.type,
        "source": event.source,
        "subject": event.subject,
        "test": event.test,
        "occurred_at": event.occurred_at,
        "received_at": event.received_at,
        "data": event.data if type(event.data) is dict else dict(event.data),
    }
    for name in _OBJECTS:
        model = getattr(event, name)
        values[name] = {} if model is None else _as_dict(model)
    return Variables(values)


def _as_dict(model: Any) -> dict[str, Any]:
    kind = type(model)
    names = _FIELD_NAMES.get(kind)
    if names is None:
        names = _FIELD_NAMES[kind] = tuple(field.name for field in dataclasses.fields(kind))
    values = {}
    for name in names:
        value = getattr(model, name)
        if value is not None:
            values[name] = _as_value(value)
    return values


def _as_value(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN_TYPES:
        return value
    if kind is Decimal:
        return float(value)
    if kind is tuple:
        return [_as_value(item) for item in value]
    return _as_dict(value)


def _weigh(value: Any) -> int:
    total = 0
    waiting = [value]
    while waiting:
        item = waiting.pop()
        total += _NODE
        kind = type(item)
        if kind is str or kind is bytes:
            total += len(item)
        elif kind is dict:
            waiting.extend(item)
            waiting.extend(item.values())
        elif kind is list:
            waiting.extend(item)
    return total
