"""From an outcome to a delivery's next state: pure rules."""

from __future__ import annotations

from app.domain.outcome import OutcomeKind
from app.domain.record import record
from app.domain.retry import throttle_wait
from app.services.configuration import BoundTarget
from app.services.dispatch import Result

_FINAL = {
    OutcomeKind.DELIVERED: "succeeded",
    OutcomeKind.DROPPED: "succeeded",
    OutcomeKind.SKIPPED: "skipped",
    OutcomeKind.REJECTED: "failed",
}
#: Seconds a target is left alone for while it is being disabled, which is a transaction of its own;
#: resuming it forgets them.
_UNTIL_DISABLED = 10.0
#: The target took the request, whatever it thought of it.
TAKEN = frozenset({OutcomeKind.DELIVERED, OutcomeKind.DROPPED})
#: The target did not do its work.
FAILURES = frozenset({OutcomeKind.RETRY, OutcomeKind.REJECTED, OutcomeKind.AUTH_FAILED, OutcomeKind.GONE})  # fmt: skip


@record(frozen=True, slots=True)
class Verdict:
    """What becomes of a delivery.

    `status` is its final one, None while it waits; `wait` is then in seconds.
    `attempts` is the number of counted ones.
    `rest` is how long the whole target is left alone, `disable` why it is switched off.
    """

    status: str | None
    attempts: int
    wait: float = 0.0
    rest: float | None = None
    disable: str | None = None


def verdict(
    result: Result, target: BoundTarget | None, chance: float, throttles: int = 1
) -> Verdict:
    """The rule book; `throttles` counts how often the target throttled in a row, now included."""
    outcome = result.outcome
    before = result.claimed.attempts
    if result.postpone is not None:
        return Verdict(None, before, result.postpone)
    if outcome.kind is OutcomeKind.THROTTLE:
        wait = throttle_wait(outcome.after, throttles, chance)
        return Verdict(None, before, wait, rest=wait)
    if outcome.kind is OutcomeKind.AUTH_FAILED:
        reason = f"The destination refused access: {outcome.reason}"
        return Verdict(None, before, rest=_UNTIL_DISABLED, disable=reason)
    counted = before + 1 if result.attempted else before
    if outcome.kind is OutcomeKind.RETRY:
        if target is None:
            return Verdict("failed", counted)
        wait_or_none = target.retry.next_wait(counted, asked=outcome.after, chance=chance)
        if wait_or_none is None:
            return Verdict("failed", counted)
        return Verdict(None, counted, wait_or_none)
    gone = outcome.kind is OutcomeKind.GONE
    if gone:
        return Verdict("failed", counted, rest=_UNTIL_DISABLED, disable=outcome.reason)
    return Verdict(_FINAL[outcome.kind], counted)
