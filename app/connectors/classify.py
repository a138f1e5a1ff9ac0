"""What a reply means, as data: rules of the connector first, then the table that all share.

The shared table: 2xx is delivered; a redirect is never followed and so a failure; 401 and 403 are
the credential's fault, except a 403 that no API wrote (empty or HTML: a firewall or rate limiter
in front of it), which passes; 408, 423, 425, 477 and 5xx but 501 pass; 429 says how long to wait;
everything else will not work the next time either.
404, 409 and the like mean something in some flows: a connector looks at the status before it asks
here.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from http import HTTPStatus
from typing import Any

import httpx

from app.connectors.wording import presentable, words_of
from app.domain import outcome, strict_json
from app.domain.errors import Unreadable
from app.domain.outcome import Outcome
from app.domain.retry import parse_retry_after

#: A reply this long is not an error message.
_LONGEST_DOCUMENT = 256 * 1024
_LONGEST_TEXT = 4096
_SUCCESS = range(200, 300)
_DELIVERED = outcome.delivered()


class Reply:
    """A response, and what can be read from it when somebody asks."""

    def __init__(
        self, response: httpx.Response, now: datetime, secrets: Sequence[str] = ()
    ) -> None:
        self.response = response
        self.status = response.status_code
        self._now = now
        self._secrets = secrets

    def header(self, name: str) -> str:
        """The header's value, empty when it is not there."""
        return str(self.response.headers.get(name, ""))

    @cached_property
    def document(self) -> Any:
        """The body as JSON, None when it is not JSON."""
        return document_of(self.response)

    @cached_property
    def is_page(self) -> bool:
        """True when no API wrote this: the body is empty or HTML."""
        body = self.response.content[:64].lstrip()
        return not body or body.startswith(b"<") or "text/html" in self.header("content-type")

    @cached_property
    def wait(self) -> float | None:
        """Seconds to wait as `Retry-After` asks, None when it does not."""
        value = self.header("retry-after")
        return parse_retry_after(value, self._now) if value else None

    @cached_property
    def words(self) -> str:
        """What the destination said, ready to be shown."""
        # Not response.text: it follows the charset the stranger named, zlib and rot13 included.
        text = self.response.content[:_LONGEST_TEXT].decode("utf-8", "replace")
        return words_of(self.document, text, self._secrets)

    def reason(self, note: str = "") -> str:
        """One sentence: the status, a note of ours, and the destination's own words."""
        parts = [f"The destination answered {self.status}{_phrase(self.status)}"]
        parts += [part for part in (note, self.words) if part]
        return ": ".join(parts)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a table: for these statuses, when the reply looks so, this is the outcome."""

    statuses: Container[int]
    outcome: Callable[[Reply], Outcome]
    when: Callable[[Reply], bool] | None = None

    def applies(self, reply: Reply) -> bool:
        """True when this line decides about the reply."""
        return reply.status in self.statuses and (self.when is None or self.when(reply))


def passing(reply: Reply) -> Outcome:
    """Trouble that passes; honours the wait it names."""
    return outcome.retry(reply.reason(), reply.wait)


def too_fast(reply: Reply) -> Outcome:
    """Slow down; honours the wait it names."""
    return outcome.throttle(reply.reason(), reply.wait)


def refused(reply: Reply) -> Outcome:
    """This will not work the next time either."""
    return outcome.rejected(reply.reason())


def credential(reply: Reply) -> Outcome:
    """The credential, its rights or the account."""
    return outcome.auth_failed(reply.reason())


def _redirected(reply: Reply) -> Outcome:
    host = _host_of(reply.header("location"))
    towards = f" to {host}" if host else ""
    return outcome.rejected(
        f"The destination answered {reply.status}{_phrase(reply.status)}:"
        f" it redirects{towards}, and redirects are not followed"
    )


def _at_the_edge(reply: Reply) -> Outcome:
    if reply.wait is not None:
        return too_fast(reply)
    return outcome.retry(reply.reason("something in front of it refused, not the service itself"))


SHARED_RULES: tuple[Rule, ...] = (
    Rule(_SUCCESS, lambda _: _DELIVERED),
    Rule(range(300, 400), _redirected),
    Rule({401}, credential),
    Rule({403}, _at_the_edge, lambda reply: reply.is_page),
    Rule({403}, credential),
    Rule({408, 423, 425, 477}, passing),
    Rule({429}, too_fast),
    Rule(range(400, 500), refused),
    Rule({501}, refused),
    Rule(range(500, 1000), passing),
)


def classify(
    response: httpx.Response,
    rules: Sequence[Rule] = (),
    *,
    now: datetime,
    secrets: Sequence[str] = (),
) -> Outcome:
    """The outcome by the first rule that applies: the connector's own, then the shared ones.

    `now` is needed because `Retry-After` may be a date; `secrets` never appear in the reason.
    """
    if not rules and response.status_code in _SUCCESS:
        return _DELIVERED
    reply = Reply(response, now, secrets)
    for rule in (*rules, *SHARED_RULES):
        if rule.applies(reply):
            return rule.outcome(reply)
    return passing(reply)


def document_of(response: httpx.Response) -> Any:
    """The body as JSON; None when it is empty, too long, or not strict JSON."""
    body = response.content
    if not body or len(body) > _LONGEST_DOCUMENT:
        return None
    try:
        return strict_json.read_strict(body)
    except Unreadable:
        return None


def _phrase(status: int) -> str:
    try:
        return f" ({HTTPStatus(status).phrase})"
    except ValueError:
        return ""


def _host_of(location: str) -> str:
    try:
        return presentable(httpx.URL(location).host, longest=80)
    except (httpx.InvalidURL, ValueError):  # the latter for a host that is no IDNA name
        return ""
