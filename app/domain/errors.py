"""Everything that can be refused, as facts with a stable name.

RelayError
  Unauthorized              401  the credential is missing or wrong
  Forbidden                 403  the key lacks a scope
  NotFound                  404  no such thing
  UnknownEventType          404  the source is strict and does not know the type
  Conflict                  409  it clashes with what is there
  InvalidRequest            400  a request that means nothing
    InvalidCursor           400
    RelayLoop               400  the event went through relays too often
  Unreadable                400  a body that cannot be read (kept in quarantine when authenticated)
    UnsupportedEncoding     415
    UnsupportedMediaType    415
    InvalidPayload          422  readable, but not what the sender's kind says
  BodyTooLarge              413
  RequestTimeout            408
  HeadersTooLarge           431
  ValidationFailed          422  a management request with wrong fields
  TooManyRequests           429
  NotImplementedYet         501
  StoreUnavailable          503
  TooManyConnections        503
  PlatformRefused           502  the platform's own API does not let the relay in
  PlatformUnavailable       503  the platform's own API did not answer well; this may pass
  ConfigurationError        (start-up; never answered over HTTP)

Each becomes a problem document (RFC 9457): `type` is the slug, `detail` says what and where and
what to do.
A detail never repeats a secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class FieldError:
    """One wrong place in a document: a JSON Pointer (`#/settings/url`) and what is wrong there."""

    pointer: str
    detail: str


class RelayError(Exception):
    """The root of everything the relay refuses on purpose."""

    slug: ClassVar[str] = "error"
    title: ClassVar[str] = "The request could not be carried out"
    status: ClassVar[int] = 500

    def __init__(
        self,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})

    @property
    def cause(self) -> str:
        """What lies behind it, in one line, for the operator alone; empty when nothing does."""
        behind = self.__cause__
        # The driver's own words, without the statement that SQLAlchemy quotes.
        return str(getattr(behind, "orig", None) or behind or "").strip().partition("\n")[0]


class Unauthorized(RelayError):
    """The credential is missing or wrong; the answer is the same for both."""

    slug = "unauthorized"
    title = "A valid credential is needed"
    status = 401


class Forbidden(RelayError):
    """The key is valid, but lacks the scope."""

    slug = "forbidden"
    title = "The key may not do this"
    status = 403


class NotFound(RelayError):
    """There is no such thing."""

    slug = "not-found"
    title = "Not found"
    status = 404


class UnknownEventType(RelayError):
    """A strict source got a type that is not in the catalogue."""

    slug = "unknown-event-type"
    title = "The source does not accept this event type"
    status = 404


class Conflict(RelayError):
    """The request clashes with what is there."""

    slug = "conflict"
    title = "The request conflicts with what is stored"
    status = 409


class InvalidRequest(RelayError):
    """The request itself makes no sense."""

    slug = "invalid-request"
    title = "The request is not valid"
    status = 400


class InvalidCursor(InvalidRequest):
    """A list cursor that this relay did not make."""

    slug = "invalid-cursor"
    title = "The cursor is not valid"


class RelayLoop(InvalidRequest):
    """The event went round through relays."""

    slug = "relay-loop"
    title = "The event has passed through too many relays"


class Unreadable(RelayError):
    """A body that cannot be read. From an authenticated sender it is kept in quarantine."""

    slug = "unreadable-body"
    title = "The body cannot be read"
    status = 400


class UnsupportedEncoding(Unreadable):
    """A Content-Encoding the relay does not undo."""

    slug = "unsupported-encoding"
    title = "The content encoding is not supported"
    status = 415


class UnsupportedMediaType(Unreadable):
    """A Content-Type the source's kind cannot read."""

    slug = "unsupported-media-type"
    title = "The content type is not supported"
    status = 415


class InvalidPayload(Unreadable):
    """Valid JSON, but not what the source's kind says it is."""

    slug = "invalid-payload"
    title = "The body is not what this source sends"
    status = 422


class BodyTooLarge(RelayError):
    """The body is over the limit; nothing of it was kept."""

    slug = "body-too-large"
    title = "The body is too large"
    status = 413


class RequestTimeout(RelayError):
    """The body did not arrive in time."""

    slug = "request-timeout"
    title = "The request did not arrive in time"
    status = 408


class HeadersTooLarge(RelayError):
    """Too many header fields, or too long ones."""

    slug = "headers-too-large"
    title = "The header fields are too large"
    status = 431


class ValidationFailed(RelayError):
    """A management request with wrong fields; `errors` names each."""

    slug = "validation-failed"
    title = "The request has invalid fields"
    status = 422


class TooManyRequests(RelayError):
    """The caller should slow down."""

    slug = "too-many-requests"
    title = "Too many requests"
    status = 429


class NotImplementedYet(RelayError):
    """Part of the contract that this version does not carry out."""

    slug = "not-implemented"
    title = "This version cannot do that yet"
    status = 501


class StoreUnavailable(RelayError):
    """The database did not answer; the sender should try again."""

    slug = "store-unavailable"
    title = "The store is not available"
    status = 503


class SourceUnusable(RelayError):
    """A source that this process cannot use, for its kind, its settings or a secret that does not open."""

    slug = "source-unusable"
    title = "The source cannot be used here"
    status = 503


class TooManyConnections(RelayError):
    """The process has as many connections as it may have (`RELAY_MAX_CONNECTIONS`)."""

    slug = "too-many-connections"
    title = "There are too many connections"
    status = 503


class PlatformRefused(RelayError):
    """The platform's own API refused the relay, or is not there: somebody must change something."""

    slug = "platform-refused"
    title = "The platform refused the relay"
    status = 502


class PlatformUnavailable(RelayError):
    """The platform's own API did not answer, or not in a way that can be used; it may later."""

    slug = "platform-unavailable"
    title = "The platform did not answer well"
    status = 503


class ConfigurationError(RelayError):
    """The relay cannot start as it is configured; says which setting, and what to do."""

    slug = "configuration"
    title = "The configuration is not usable"
