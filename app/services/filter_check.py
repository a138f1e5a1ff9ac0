"""Whether a target's filter can be used, decided when it is saved."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

from app.domain.catalogue import CATALOGUE
from app.domain.expressions import ExpressionError, NotACondition, compile_filter, variables_of
from app.domain.model import Event, RawRequest
from app.services.reading import event_of
from app.sources.registry import adapter_for

#: The moment and the source of the examples; no filter can be right for them alone.
_WHEN = datetime(2026, 11, 23, 19, 17, 43, tzinfo=UTC)
_SOURCE = "example"


def check_filter(text: str) -> None:
    """Refuse a filter that does not compile, or is no condition on any event of the catalogue.

    One that is true or false for one of them is taken, and so is one that cannot be evaluated on
    any: it may be meant for what other senders send.

    Raises:
        ExpressionError: says what is wrong.
    """
    condition = compile_filter(text)
    no_condition: NotACondition | None = None
    for event in _examples():
        try:
            condition(variables_of(event))
        except NotACondition as error:
            no_condition = error
        except ExpressionError:
            if condition.is_constant:
                raise
        else:
            return
    if no_condition is not None:
        raise no_condition


@cache
def _examples() -> tuple[Event, ...]:
    """An event of each type of the catalogue."""
    events: list[Event] = []
    adapter = adapter_for("ultimate_multisite")
    for event_type, entry in CATALOGUE.items():
        request = RawRequest(headers={}, body=b"", received_at=_WHEN, event_type=event_type)
        reading = adapter.read(request, dict(entry.example))
        events.append(event_of(reading, event_id="evt_0", source=_SOURCE, received_at=_WHEN, hop=0))
    return tuple(events)
