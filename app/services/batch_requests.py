"""A request that holds several events: each is planned as if it had come by itself.

Whatever is wrong with one of them refuses the whole request, and says which one it was.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.domain.errors import FieldError, RelayError
from app.domain.model import RawRequest
from app.services.configuration import BoundSource, Configuration
from app.services.planning import Plan, plan_request
from app.services.reading import require_plain


def plan_batch(
    configuration: Configuration, source: BoundSource, request: RawRequest
) -> Iterator[tuple[RawRequest, Plan]]:
    """The requests an authenticated batch consists of, each with its plan.

    Raises what reading one request raises, and names the event.
    """
    require_plain(request)
    for position, part in enumerate(source.adapter.split(request)):
        try:
            plan = plan_request(configuration, source, part)
        except RelayError as error:
            in_batch(error, position)
            raise
        yield part, plan


def in_batch(error: RelayError, position: int) -> RelayError:
    """The error, saying which event of its batch it is about (they are counted from 0)."""
    error.detail = f"Event {position} of the batch: {error.detail}"
    error.errors = tuple(
        FieldError(f"#/{position}{field.pointer.removeprefix('#')}", field.detail)
        for field in error.errors
    )
    return error
