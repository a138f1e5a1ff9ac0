"""Tokens by OAuth 2.0 (RFC 6749): fetched when there is none, once more when one is refused.

A connector writes its flow as if the token were there; `granted` puts it into each request, and
asks for another when it has ended or is refused with 401.
A second refusal is the connector's to classify, as a credential that does not work.
The engine keeps what was fetched, and answers a request for a token from its store when another
worker was faster.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from http import HTTPStatus
from typing import Any, TypeVar

import httpx

from app.connectors.base import GRANT, Assignment
from app.connectors.classify import Reply, Rule, classify, document_of, passing
from app.domain import strict_json
from app.domain.grant import Grant
from app.domain.outcome import Outcome, TransportFailure, auth_failed, retry

EndT = TypeVar("EndT")
#: Puts a token into a request of a connector's flow.
Authorise = Callable[[httpx.Request, Grant], httpx.Request]

_ISSUED_FOR = "issued_for"
#: More tokens than this in one attempt are a fault that another token does not mend.
_MOST_TOKENS = 4
_LONGEST_LIFE = 10 * 365 * 86_400
_MASK = "…"


@dataclass(frozen=True)
class Authority:
    """Who hands out tokens to one target, and for what.

    `form` is the body of the token request, secrets included; `keep` names what of the reply is
    needed besides the token; `rules` go before the shared ones when the reply is no token.
    """

    url: str
    form: Mapping[str, str]
    user_agent: str
    authorise: Authorise
    secrets: Sequence[str]
    keep: Sequence[str] = ()
    rules: Sequence[Rule] = ()

    @cached_property
    def issued_for(self) -> str:
        """Tells the tokens of these credentials from those of the ones before."""
        said = strict_json.canonical([self.url, dict(self.form)])
        return hashlib.sha256(said).hexdigest()[:32]

    def request(self) -> httpx.Request:
        """Ask for a token."""
        headers = {"accept": "application/json", "user-agent": self.user_agent}
        request = httpx.Request("POST", self.url, headers=headers, data=dict(self.form))
        request.extensions[GRANT] = True
        return request

    def read(self, response: httpx.Response, now: datetime) -> Grant | Outcome:
        """The token in a reply, or what its absence means."""
        document = document_of(response)
        token = document.get("access_token") if isinstance(document, Mapping) else None
        if response.is_success and isinstance(token, str) and _sendable(token):
            extra = {name: document[name] for name in self.keep if _is_text(document.get(name))}
            extra[_ISSUED_FOR] = self.issued_for
            return Grant(token, _end(document, now), extra)
        rules = (*self.rules, *_NO_TOKEN)
        return classify(response, rules, now=now, secrets=self.secrets)


def granted(
    flow: Generator[httpx.Request, httpx.Response, EndT],
    assignment: Assignment,
    authority: Authority,
) -> Generator[httpx.Request, httpx.Response, Any]:
    """Run a connector's flow with a token in each of its requests.

    Ends as the flow does, with the grant that was fetched on the way in its (first) outcome; or
    with a single Outcome when no token can be had.
    """
    holder = _Holder(authority, assignment)
    try:
        request = next(flow)
        while True:
            try:
                response = yield from holder.send(request)
            except TransportFailure as failure:
                request = flow.throw(failure)
            else:
                request = flow.send(response)
    except StopIteration as stop:
        return holder.handing_back(stop.value)
    except _NoToken as none:
        flow.close()
        return holder.handing_back(none.outcome)
    except TransportFailure as failure:
        if holder.fetched is None:
            raise
        return holder.handing_back(retry(failure.reason))


class _NoToken(Exception):
    """The authority gave none; `outcome` says why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class _Holder:
    """The token of one attempt."""

    def __init__(self, authority: Authority, assignment: Assignment) -> None:
        self._authority = authority
        self._now = assignment.now
        self._grant = self._usable(assignment.grant)
        self._tokens = 0
        self._replaced = False
        #: What was fetched and is not yet known to the engine.
        self.fetched: Grant | None = None

    def send(
        self, request: httpx.Request
    ) -> Generator[httpx.Request, httpx.Response, httpx.Response]:
        """The reply to a request of the flow; a refused token is replaced by a fresh one, once."""
        if self._grant is None:
            self._grant = yield from self._another()
        while True:
            response = yield self._authority.authorise(request, self._grant)
            refused = response.status_code == HTTPStatus.UNAUTHORIZED
            if not refused or self._replaced or self._tokens >= _MOST_TOKENS:
                return response
            before = self.fetched
            self._grant = yield from self._another()
            # One that another worker had fetched may have ended since; only our own is proof.
            self._replaced = self.fetched is not before

    def _another(self) -> Generator[httpx.Request, httpx.Response, Grant]:
        while self._tokens < _MOST_TOKENS:
            self._tokens += 1
            try:
                response = yield self._authority.request()
            except TransportFailure as failure:
                raise _NoToken(retry(f"No token could be fetched: {failure.reason}")) from None
            stored = response.extensions.get(GRANT)
            if not isinstance(stored, Grant):
                return self._read(response)
            usable = self._usable(stored)
            if usable is not None:
                return usable
        raise _NoToken(retry("Every kept token has ended, and no new one was fetched."))

    def _read(self, response: httpx.Response) -> Grant:
        got = self._authority.read(response, self._now)
        if isinstance(got, Outcome):
            raise _NoToken(got)
        self.fetched = got
        return got

    def _usable(self, grant: Grant | None) -> Grant | None:
        if grant is None or not grant.lasts(self._now):
            return None
        same = grant.extra.get(_ISSUED_FOR) == self._authority.issued_for
        return grant if same else None

    def handing_back(self, end: Any) -> Any:
        """The end of the flow with the fetched grant, and without a token in its words."""
        if isinstance(end, Outcome):
            return self._without_token(replace(end, grant=self.fetched) if self.fetched else end)
        ends = [self._without_token(one) for one in end]
        if self.fetched and ends:
            ends[0] = replace(ends[0], grant=self.fetched)
        return ends

    def _without_token(self, outcome: Outcome) -> Outcome:
        token = self._grant.token if self._grant else ""
        if token and token in outcome.reason:
            return replace(outcome, reason=outcome.reason.replace(token, _MASK))
        return outcome


def _no_token(reply: Reply) -> Outcome:
    return auth_failed(reply.reason("it gave no token"))


def _lasting(reply: Reply) -> bool:
    """Not a limit, a lock or a firewall in front of it: the credentials, or the address."""
    return reply.status not in _PASSING and not (
        reply.status == HTTPStatus.FORBIDDEN and reply.is_page
    )


_PASSING = frozenset({408, 423, 425, 429, 477})
#: Nothing is wrong with the event when there is no token: it is never rejected for that.
_NO_TOKEN: tuple[Rule, ...] = (
    Rule(range(200, 300), _no_token, lambda reply: isinstance(reply.document, Mapping)),
    Rule(range(200, 300), passing),
    Rule(range(300, 500), _no_token, _lasting),
    Rule({HTTPStatus.NOT_IMPLEMENTED}, _no_token),
)


def _end(document: Mapping[str, Any], now: datetime) -> datetime | None:
    seconds = document.get("expires_in")
    if isinstance(seconds, int | float) and 0 < seconds < _LONGEST_LIFE:
        return now + timedelta(seconds=seconds)
    return None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _sendable(token: str) -> bool:
    return bool(token) and token.isascii() and token.isprintable()
