"""Events that are taken the moment their request is complete, without a task of their own.

What nearly every request needs is plain: it is whole, its credential is right, its source is known
as it is.
Nothing has to be waited for but the commit then, and the answer is written when that is done.
A task, the messages of ASGI and the layers between would be a third of what such a request costs
(docs/adr/0014).
Nothing is decided here but that a request is plain: every other one is left to the door
(app/api/ingest.py), which takes it from the beginning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.faults import fault
from app.api.ingest import PREFIX, Accepted, raw_request, segments, told
from app.api.limits import Limits
from app.api.problems import problem_response
from app.domain.clock import Clock
from app.domain.errors import RelayError
from app.domain.model import RawRequest


class AcceptingAtOnce(Protocol):
    """Who stores what came in (`app.services.ingest.Ingest`)."""

    def accept_at_once(self, source_name: str, request: RawRequest) -> asyncio.Future[Any] | None:
        """The receipt (`Accepted`) that comes with the commit; None for what is not plain."""
        ...


class Application:
    """The relay as a server runs it: an ASGI application that can do some things at once.

    `accepted` and `refused` count what happened, as the door counts it.
    """

    def __init__(
        self,
        app: Limits,
        ingest: AcceptingAtOnce,
        clock: Clock,
        *,
        body_bytes: int,
        accepted: Callable[[str, bool], None],
        refused: Callable[[str], None],
    ) -> None:
        self._app = app
        self._ingest = ingest
        self._clock = clock
        self._body_bytes = body_bytes
        self._accepted = accepted
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, in full."""
        await self._app(scope, receive, send)

    def may_take(self, scope: Scope) -> bool:
        """Whether it is worth waiting for the body, for `take`."""
        path: str = scope["path"]
        return path.startswith(PREFIX) and scope["method"] == "POST"

    def take(
        self,
        scope: Scope,
        body: bytes,
        tell: Callable[[bytes], None],
        refuse: Callable[[ASGIApp], None],
    ) -> bool:
        """Store the event of a complete request; False when the request is not plain.

        After the commit `tell` is called with the body of a 202; when there was none, `refuse` is
        called with the application that answers.
        """
        if len(body) > self._body_bytes or self._app.refusal(scope) is not None:
            return False
        try:
            source_name, event_type = segments(scope)
        except RelayError:
            return False
        request = raw_request(scope, body, event_type, self._clock())
        try:
            stored = self._ingest.accept_at_once(source_name, request)
        except Exception:  # noqa: BLE001  whatever it is, the door meets it again and says so
            return False
        if stored is None:
            return False

        def done(future: asyncio.Future[Accepted]) -> None:
            if future.cancelled():
                return
            failure = future.exception()
            if failure is None:
                receipt = future.result()
                self._accepted(source_name, receipt.duplicate)
                tell(told(receipt))
            else:
                refuse(self._refusing(failure))

        stored.add_done_callback(done)
        return True

    def _refusing(self, failure: BaseException) -> ASGIApp:
        error = failure if isinstance(failure, RelayError) else fault("ingest.failed", failure)
        self._refused(error.slug)
        return problem_response(error)
