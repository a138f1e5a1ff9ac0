"""Answers of networks, remembered for a while: the least recently used go first.

The day somebody signed up never changes.
A plan does: an answer about a membership is used for an event only if the question was asked after
the event came in, since an older one may be of the plan before.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from app.domain.unsaid import About, Found, Question

_MICROS = 1_000_000
_MOST = 10_000
#: Seconds that an answer is good for: one that found something, and one that did not.
_GOOD = {About.CUSTOMER: 3600, About.MEMBERSHIP: 300, About.THEIR_MEMBERSHIP: 300}
_NOTHING_THERE = 60

#: The source, and what its network was asked.
Key = tuple[str, Question]


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found, and when it was asked for (microseconds)."""

    found: Found
    asked_at: int


class AnswersKept:
    """The answers of this process."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._answers: OrderedDict[Key, Answer] = OrderedDict()

    def get(self, key: Key, now: int, received_at: int) -> Answer | None:
        """The answer, when it is good for an event that came in at `received_at`."""
        answer = self._answers.get(key)
        if answer is None:
            return None
        about = key[1].about
        good = _NOTHING_THERE if answer.found is None else _GOOD[about]
        if now - answer.asked_at > good * _MICROS:
            del self._answers[key]
            return None
        if about is not About.CUSTOMER and answer.asked_at < received_at:
            return None
        self._answers.move_to_end(key)
        return answer

    def put(self, key: Key, answer: Answer) -> None:
        """Remember an answer, unless a newer one overtook it."""
        known = self._answers.get(key)
        if known is not None and known.asked_at > answer.asked_at:
            return
        self._answers[key] = answer
        self._answers.move_to_end(key)
        if len(self._answers) > self._most:
            self._answers.popitem(last=False)
