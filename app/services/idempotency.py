"""A request that is sent twice is carried out once (draft-ietf-httpapi-idempotency-key-header).

The answer is kept for 24 hours, sealed: the first answer of a creation can carry a secret.
Only answers of requests that were carried out are kept; one that was refused may be corrected
and sent again under the same key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from app.domain import strict_json
from app.domain.clock import Clock, to_micros
from app.domain.errors import Conflict, FieldError, StoreUnavailable, ValidationFailed
from app.store import idempotency
from app.store.database import Database
from app.store.idempotency import IdempotencyRecord
from app.store.sealing import SealBroken, Sealer

KEPT_HOURS = 24
_KEPT = KEPT_HOURS * 3_600_000_000
# Past this, whoever took the key is taken for dead: no management request runs that long.
_ABANDONED_AFTER = 60_000_000
_REUSED = "This Idempotency-Key was used with another body; take a new key for a new request."


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotentRequest:
    """What makes two requests the same one: who asks for what, under which key, with which body."""

    principal_id: str
    method: str
    path: str
    key: str
    body: bytes

    @property
    def scope_key(self) -> bytes:
        """SHA-256 of everything but the body."""
        parts = (self.principal_id, self.method, self.path, self.key)
        return hashlib.sha256("\0".join(parts).encode()).digest()

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the body."""
        return hashlib.sha256(self.body).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer that can be given again; `replayed` when it was."""

    status: int
    body: str
    headers: Mapping[str, str]
    replayed: bool = False


class Idempotency:
    """Carries out a request once, however often it is sent."""

    def __init__(self, database: Database, sealer: Sealer, clock: Clock) -> None:
        self._database = database
        self._sealer = sealer
        self._clock = clock

    async def run(
        self, request: IdempotentRequest, produce: Callable[[], Awaitable[Answer]]
    ) -> Answer:
        """The answer of `produce`, or the one it gave when the request came first.

        Raises ValidationFailed when the key was used with another body, Conflict while the first
        request is under way, and whatever `produce` raises.
        """
        known = await self._claim(request)
        if known is not None:
            return self._known_answer(request, known)
        try:
            answer = await produce()
        except BaseException:
            with suppress(StoreUnavailable):
                await self._database.write(lambda c: idempotency.forget(c, request.scope_key))
            raise
        # What was asked for is done: not being able to keep the answer must not make it a failure.
        with suppress(StoreUnavailable):
            await self._keep(request, answer)
        return answer

    async def _claim(self, request: IdempotentRequest) -> IdempotencyRecord | None:
        now = to_micros(self._clock())
        record = IdempotencyRecord(
            scope_key=request.scope_key,
            fingerprint=request.fingerprint,
            created_at=now,
            expires_at=now + _KEPT,
        )
        return await self._database.write(
            lambda c: idempotency.claim(c, record, abandoned_before=now - _ABANDONED_AFTER)
        )

    def _known_answer(self, request: IdempotentRequest, known: IdempotencyRecord) -> Answer:
        if known.fingerprint != request.fingerprint:
            raise ValidationFailed(
                _REUSED, errors=[FieldError("#/header/Idempotency-Key", _REUSED)]
            )
        if known.status is None or known.answer_sealed is None:
            raise Conflict(
                "The first request with this Idempotency-Key is still under way; ask again shortly.",
                headers={"Retry-After": "1"},
            )
        try:
            opened = self._sealer.open(known.answer_sealed, _place(known.scope_key))
        except SealBroken as error:
            raise Conflict(
                "The first request with this Idempotency-Key was carried out, but its answer was"
                " sealed with another master key and cannot be given again."
            ) from error
        kept = strict_json.read_trusted(opened.encode())
        return Answer(
            status=known.status, body=kept["body"], headers=kept["headers"], replayed=True
        )

    async def _keep(self, request: IdempotentRequest, answer: Answer) -> None:
        kept = strict_json.write({"body": answer.body, "headers": dict(answer.headers)}).decode()
        sealed = self._sealer.seal(kept, _place(request.scope_key))
        await self._database.write(
            lambda c: idempotency.finish(
                c, request.scope_key, status=answer.status, answer_sealed=sealed
            )
        )


def _place(scope_key: bytes) -> str:
    return f"idempotency/{scope_key.hex()}"
