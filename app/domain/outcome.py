"""How an attempt ended, in the only words the delivery engine knows."""

from __future__ import annotations

from enum import StrEnum

from app.domain.grant import Grant
from app.domain.record import record


class OutcomeKind(StrEnum):
    """What an attempt's end means for the delivery."""

    #: The destination took it.
    DELIVERED = "delivered"
    #: The destination answered well, but says that it threw the record away.
    DROPPED = "dropped"
    #: There was nothing to send: this event means nothing to this destination.
    SKIPPED = "skipped"
    #: Passing trouble; the schedule says when to try again.
    RETRY = "retry"
    #: Too fast; try again after the wait, which does not count as an attempt.
    THROTTLE = "throttle"
    #: This payload will never work.
    REJECTED = "rejected"
    #: Credential or configuration; the target's deliveries are held until it is resumed.
    AUTH_FAILED = "auth_failed"
    #: The destination says it is gone for good (410); the target is disabled.
    GONE = "gone"


@record(frozen=True, slots=True)
class Outcome:
    """The end of one attempt.

    `reason` is for the operator: one sentence, no secret.
    `after` is a wait in seconds the destination asked for (throttle and retry), None when it did not.
    `external_id` is the destination's id of the contact, remembered for the event's subject.
    `forget_id` is true when the remembered id turned out to be gone.
    `grant` is a token that was fetched on the way, to be kept for the next attempts.
    """

    kind: OutcomeKind
    reason: str = ""
    after: float | None = None
    external_id: str | None = None
    forget_id: bool = False
    grant: Grant | None = None


def delivered(external_id: str | None = None, reason: str = "") -> Outcome:
    """The destination took it."""
    return Outcome(OutcomeKind.DELIVERED, reason, external_id=external_id)


def dropped(reason: str) -> Outcome:
    """The destination answered well and discarded the record."""
    return Outcome(OutcomeKind.DROPPED, reason)


def skipped(reason: str) -> Outcome:
    """There was nothing to send."""
    return Outcome(OutcomeKind.SKIPPED, reason)


def retry(reason: str, after: float | None = None) -> Outcome:
    """Passing trouble."""
    return Outcome(OutcomeKind.RETRY, reason, after)


def throttle(reason: str, after: float | None = None) -> Outcome:
    """Too fast; the wait does not count as an attempt."""
    return Outcome(OutcomeKind.THROTTLE, reason, after)


def rejected(reason: str) -> Outcome:
    """This payload will never work."""
    return Outcome(OutcomeKind.REJECTED, reason)


def auth_failed(reason: str) -> Outcome:
    """The credential or the configuration does not work."""
    return Outcome(OutcomeKind.AUTH_FAILED, reason)


def gone(reason: str) -> Outcome:
    """The destination is gone for good."""
    return Outcome(OutcomeKind.GONE, reason)


class TransportFailure(Exception):
    """No usable answer came back.

    `code` is one of: dns, address, connect, tls, timeout, protocol, reset, too_large, request.
    `may_have_arrived` is true when the request may have reached the destination, so that a
    repeat can be a duplicate there.
    The text is for the operator and never names an internal address.
    """

    def __init__(self, code: str, reason: str, *, may_have_arrived: bool) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.may_have_arrived = may_have_arrived
