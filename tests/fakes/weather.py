"""Bad days of a service: every so often it is busy, down, hangs, or loses its answer.

Which request meets what follows from its number alone, so that a storm can be repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.fakes import Answer, Call, Fake

#: What a service that limits requests says, shorter than in life.
BUSY = Answer(429, headers={"retry-after": "1"})
#: What something in front of a service says that is away, or whose answer did not come back.
DOWN = Answer(503, b"upstream connect error")
LOST = Answer(502, b"bad gateway")


def _always(_call: Call) -> bool:
    return True


@dataclass
class Weather:
    """What requests to a fake meet.

    Of each `every` requests the first finds the service down, and of the second the work is done
    but the answer lost, where `may_lose` lets it: not with a service that cannot tell a repeat.
    The requests numbered in `busy` come too fast, the one numbered `hangs` is carried out and
    never answered, and `worse` happens at the requests numbered in `worse_at`.
    """

    every: int = 19
    busy: tuple[int, ...] = (6, 40)
    hangs: int | None = 30
    worse_at: tuple[int, ...] = (12, 50)
    say_busy: Callable[[Call], Answer] = lambda _call: BUSY
    may_lose: Callable[[Call], bool] = _always
    worse: Callable[[], None] = lambda: None
    #: How often each kind of trouble came, to prove that it did.
    met: dict[str, int] = field(default_factory=dict)
    _number: int = 0

    def over(self, fake: Fake) -> None:
        """Let it come over a fake."""
        handle = fake.handle

        def in_this_weather(call: Call) -> Answer:
            self._number += 1
            if self._number in self.worse_at:
                self.worse()
            if self._number in self.busy:
                return self._meets("busy", self.say_busy(call))
            if self._number % self.every == 1:
                return self._meets("down", DOWN)
            if not self.may_lose(call):
                return handle(call)
            if self._number == self.hangs:
                fake.stall_next()
                return self._meets("hangs", handle(call))
            if self._number % self.every == 2:
                handle(call)
                return self._meets("lost", LOST)
            return handle(call)

        fake.handle = in_this_weather  # type: ignore[method-assign]  # the fake stays of its class

    def _meets(self, kind: str, answer: Answer) -> Answer:
        self.met[kind] = self.met.get(kind, 0) + 1
        return answer


def for_batches(**more: Any) -> Weather:
    """The same for a service that is sent few requests."""
    return Weather(every=7, busy=(3,), **more)
