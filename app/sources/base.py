"""What a source adapter is.

An adapter is pure: it does no I/O and reads no clock.
It is given the request and the parsed document, and says what event that is.
The same function runs when a request comes in and when a stored body is read again, so what it
needs besides the body must be in `kept_headers`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Protocol

from app.domain import signing
from app.domain.model import RawRequest, Reading
from app.sources.settings import SourceSettings


class SecretForm(StrEnum):
    """What a kind's signing secret looks like, and who makes it."""

    #: `whsec_` and base64; made by the relay unless the sender chose it.
    STANDARD_WEBHOOKS = "standard_webhooks"
    #: Any text, pasted at both ends; made by the relay unless it is given.
    TEXT = "text"
    #: A text that only the vendor makes; until it is given, nothing the vendor sends is accepted.
    VENDOR = "vendor"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a source's senders may show.

    `token_hashes` are SHA-256 digests; `signing_secrets` are keys as the adapter's `signing_key`
    makes them of the secrets.
    Several stand side by side while a rotation overlaps.
    """

    token_hashes: tuple[bytes, ...] = ()
    signing_secrets: tuple[bytes, ...] = ()


class SourceAdapter(Protocol):
    """How one kind of sender is read; what is not abstract holds for a kind that is like most."""

    #: The value of a source's `kind`.
    kind: ClassVar[str]
    #: One line for the documentation.
    summary: ClassVar[str]
    #: True when a bare token is a valid credential (`?token=`, Bearer, Basic password).
    takes_token: ClassVar[bool]
    #: True when a Standard Webhooks signature is a valid credential.
    takes_signature: ClassVar[bool]
    #: True when a new source is given a token: some of its senders cannot sign.
    issues_token: ClassVar[bool] = False
    #: None for a kind that has no signing secret.
    secret_form: ClassVar[SecretForm | None] = SecretForm.STANDARD_WEBHOOKS
    #: What can be set about a source of this kind.
    settings_model: ClassVar[type[SourceSettings]] = SourceSettings
    #: True when a repeat is the same message throughout: what stands around its data counts too.
    #: Other senders count their attempts there.
    repeats_whole: ClassVar[bool] = False
    #: True when a request may need `split`, which `is_batch` then says.
    takes_batches: ClassVar[bool] = False
    #: Lower-case names of the headers that are stored beside the body because `read` needs them.
    kept_headers: tuple[str, ...]

    def configured(self, settings: Mapping[str, Any]) -> SourceAdapter:
        """The adapter of one source; `settings` were checked by `settings_model`.

        Raises:
            WrongMapping: an expression of the source's mapping cannot be used.
        """
        return self

    def signing_key(self, secret: str) -> bytes:
        """The key of a serialised secret.

        Raises:
            ValueError: the text is no secret of this kind; says why, without repeating it.
        """
        return signing.decode_secret(secret)

    def is_signed(self, request: RawRequest, keys: Sequence[bytes], now: int) -> bool:
        """Whether one of the keys signed the request in the sender's own way.

        `now` is in seconds since 1970. Never raises: the headers are anybody's.
        """
        return False

    def greets(self, request: RawRequest) -> bool:
        """Whether a request without a credential is the sender's test of the URL.

        It is answered 200, and nothing of it is kept.
        """
        return False

    def permits(self, origin: str) -> bool:
        """Whether the sender `origin` may be told that events are welcome here (CloudEvents)."""
        return False

    def is_batch(self, request: RawRequest) -> bool:
        """Whether the request must be split before it is read; looks at its headers only."""
        return False

    def split(self, request: RawRequest) -> Sequence[RawRequest]:
        """One request for each event of an authenticated batch, in their order.

        Raises Unreadable and InvalidPayload.
        """
        return [request]

    def read(self, request: RawRequest, document: Any) -> Reading:
        """Say what event `document`, the parsed JSON body, is.

        Raises InvalidPayload (422) with the places that are wrong, or InvalidRequest (400) when
        no valid event type can be found.
        """
        ...
