"""Events that are taken without a task of their own, all that are there together.

What nearly every request needs is plain: it is whole, its credential is right, its source is known
as it is.
Nothing has to be waited for but the commit then, and the answer is written when that is done.
A task, the messages of ASGI and the layers between would be a third of what such a request costs
(docs/adr/0014).
Requests that are complete in the same turn of the event loop are read together, stage by stage,
which makes each about three tenths cheaper (docs/adr/0019).
Nothing is decided here but that a request is plain: every other one is left to the door
(app/api/ingest.py), which takes it from the beginning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.faults import fault
from app.api.ingest import PREFIX, Accepted, raw_request, segments, told
from app.api.limits import Limits
from app.api.problems import problem_response
from app.domain.clock import Clock
from app.domain.errors import RelayError
from app.domain.model import RawRequest


class Held(Protocol):
    """A complete request that waits for its answer; one of the two methods gives it."""

    @property
    def scope(self) -> Any:
        """What the server says of the request."""
        ...

    @property
    def body(self) -> bytes:
        """All of its body."""
        ...

    def tell(self, body: bytes) -> None:
        """Answer 202 with this body."""
        ...

    def leave_to(self, app: ASGIApp) -> None:
        """Let an application answer."""
        ...


class AcceptingAtOnce(Protocol):
    """Who stores what came in (`app.services.ingest.Ingest`)."""

    def accept_at_once(
        self, asked: Sequence[tuple[str, RawRequest]]
    ) -> Sequence[asyncio.Future[Any] | None]:
        """The receipts (`Accepted`) that come with the commit; None for what is not plain."""
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
        self._held: list[Held] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, in full."""
        await self._app(scope, receive, send)

    def may_take(self, scope: Scope) -> bool:
        """Whether it is worth waiting for the body, for `take`."""
        path: str = scope["path"]
        return path.startswith(PREFIX) and scope["method"] == "POST"

    def take(self, held: Held) -> None:
        """Store the event of a request, with all others that come in this turn of the loop."""
        if not self._held:
            asyncio.get_running_loop().call_soon(self._take_together)
        self._held.append(held)

    def _take_together(self) -> None:
        waiting, self._held = self._held, []
        plain: list[tuple[Held, str]] = []
        asked: list[tuple[str, RawRequest]] = []
        for held in waiting:
            if (one := self._asked(held)) is None:
                held.leave_to(self)
            else:
                plain.append((held, one[0]))
                asked.append(one)
        for (held, source_name), receipt in zip(plain, self._stored(asked), strict=True):
            if receipt is None:
                held.leave_to(self)
            else:
                receipt.add_done_callback(partial(self._settled, held, source_name))

    def _asked(self, held: Held) -> tuple[str, RawRequest] | None:
        """The source's name and the request; None for one that the door must look at."""
        scope, body = held.scope, held.body
        if len(body) > self._body_bytes or self._app.refusal(scope) is not None:
            return None
        try:
            source_name, event_type = segments(scope)
            return source_name, raw_request(scope, body, event_type, self._clock())
        except Exception:  # noqa: BLE001  the door meets it again and says so; the others go on
            return None

    def _stored(
        self, asked: Sequence[tuple[str, RawRequest]]
    ) -> Sequence[asyncio.Future[Accepted] | None]:
        try:
            return self._ingest.accept_at_once(asked)
        except Exception:  # noqa: BLE001  whatever it is, the door meets it again and says so
            return [None] * len(asked)

    def _settled(self, held: Held, source_name: str, stored: asyncio.Future[Accepted]) -> None:
        if stored.cancelled():
            return
        failure = stored.exception()
        if failure is None:
            receipt = stored.result()
            self._accepted(source_name, receipt.duplicate)
            held.tell(told(receipt))
        else:
            held.leave_to(self._refusing(failure))

    def _refusing(self, failure: BaseException) -> ASGIApp:
        error = failure if isinstance(failure, RelayError) else fault("ingest.failed", failure)
        self._refused(error.slug)
        return problem_response(error)
