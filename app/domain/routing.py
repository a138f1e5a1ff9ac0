"""Which targets an event goes to: patterns of event types, sources, and the table of routes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: What an event type looks like; the platform's add-ons may register types of their own.
EVENT_TYPE_FORM = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_PATTERN_FORM = re.compile(r"[a-z0-9_.*-]{1,64}")
#: What the relay itself has to tell begins with this.
RELAY_PREFIX = "relay."
_MEMO_SIZE = 4096

TypeTest = Callable[[str], bool]
#: Of what `variables_of` says of an event; raises ExpressionError.
Condition = Callable[[Mapping[str, Any]], bool]


def is_event_type(text: str) -> bool:
    """True when `text` has the form of an event type."""
    return EVENT_TYPE_FORM.fullmatch(text) is not None


def check_pattern(text: str) -> str:
    """The pattern itself, when it is one.

    Raises:
        ValueError: says what a pattern looks like.
    """
    if _PATTERN_FORM.fullmatch(text) is None:
        raise ValueError(
            "a pattern is an event type, or one with * for any characters, such as"
            " membership_* (1 to 64 of a-z 0-9 _ . - *)"
        )
    return text


def compile_patterns(patterns: Sequence[str]) -> TypeTest:
    """A test that is true for the event types that any of the patterns matches.

    A pattern is an exact type, or has `*` for any run of characters.
    The relay's own news (`relay.target_disabled`…) is matched only by patterns that begin with
    `relay.`: whoever asks for everything, or for `*_failed`, means the platform's events.
    """
    exact = frozenset(pattern for pattern in patterns if "*" not in pattern)
    wild = [pattern for pattern in patterns if "*" in pattern]
    own = _alternatives(pattern for pattern in wild if pattern.startswith(RELAY_PREFIX))
    everything = "*" in wild
    platform = _alternatives(wild)

    def matches(event_type: str) -> bool:
        if event_type in exact:
            return True
        if event_type.startswith(RELAY_PREFIX):
            return own.fullmatch(event_type) is not None
        return everything or platform.fullmatch(event_type) is not None

    return matches


def _alternatives(patterns: Iterable[str]) -> re.Pattern[str]:
    # (?!) matches nothing, for no patterns at all.
    return re.compile("|".join([_as_expression(pattern) for pattern in patterns]) or "(?!)")


def _as_expression(pattern: str) -> str:
    """A regular expression whose time does not explode with the number of stars.

    Each part between stars is taken at its first place, for good (an atomic group): a later
    place can never match more, so nothing is lost by not going back.
    """
    first, *middle, last = [re.escape(part) for part in re.split(r"\*+", pattern)]
    return first + "".join([f"(?>.*?{part})" for part in middle]) + f".*{last}"


@dataclass(frozen=True, slots=True)
class Route:
    """One target's claim on events.

    `matches` tests the event type, `sources` names the sources it listens to (None for all),
    `filter` has the last word once the event has been read (None for no filter).
    `ordered` is true where the events of one subject go one after another.
    """

    target_id: str
    matches: TypeTest
    sources: frozenset[str] | None = None
    filter: Condition | None = None
    ordered: bool = False


class RoutingTable:
    """All routes at one moment; replaced as a whole when the configuration moves."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = tuple(routes)
        self._memo: dict[tuple[str, str], tuple[Route, ...]] = {}

    def of_target(self, target_id: str) -> Route | None:
        """The route of one target, None when it has none."""
        return next((route for route in self._routes if route.target_id == target_id), None)

    def candidates(self, source_name: str, event_type: str) -> tuple[Route, ...]:
        """The routes that match source and type, in their order; their filters are still to run."""
        key = (source_name, event_type)
        known = self._memo.get(key)
        if known is not None:
            return known
        found = tuple(
            route
            for route in self._routes
            if (route.sources is None or source_name in route.sources) and route.matches(event_type)
        )
        # Types are the senders' to choose: the memo must not grow with their imagination.
        if len(self._memo) >= _MEMO_SIZE:
            self._memo.clear()
        self._memo[key] = found
        return found
