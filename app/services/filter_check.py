"""Whether a target's filter can be used, decided when it is saved."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

from app.domain.catalogue import CATALOGUE
from app.domain.expressions import ExpressionError, NotACondition, compile_filter, variables_of
from app.domain.model import Event
from app.services.example_events import example_event

_WHEN = datetime(2026, 11, 23, 19, 17, 43, tzinfo=UTC)


def check_filter(text: str) -> None:
    """Refuse a filter that does not compile, or is true or false for no event of the catalogue.

    One that can be evaluated on none of them is taken, since it may be meant for what other
    senders send; so is one that looks at `data`, where a name means something else to each.

    Raises:
        ExpressionError: says what is wrong.
    """
    condition = compile_filter(text)
    if "data" in condition.names:
        return
    no_condition: NotACondition | None = None
    for event in _examples():
        try:
            condition(variables_of(event))
        except NotACondition as error:
            no_condition = error
        except ExpressionError:
            if not condition.names:
                raise
        else:
            return
    if no_condition is not None:
        raise no_condition


@cache
def _examples() -> tuple[Event, ...]:
    """An event of each type of the catalogue."""
    return tuple(
        example_event(event_type, event_id="evt_0", source="example", at=_WHEN)
        for event_type in CATALOGUE
    )
