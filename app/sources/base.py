"""What a source adapter is.

An adapter is pure: it does no I/O and reads no clock.
It is given the request and the parsed document, and says what event that is.
The same function runs when a request comes in and when a stored body is read again, so what it
needs besides the body must be in `kept_headers`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from app.domain.model import RawRequest, Reading


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a source's senders may show.

    `token_hashes` are SHA-256 digests; `signing_secrets` are the decoded keys (24 to 64 bytes).
    Several stand side by side while a rotation overlaps.
    """

    token_hashes: tuple[bytes, ...] = ()
    signing_secrets: tuple[bytes, ...] = ()


class SourceAdapter(Protocol):
    """How one kind of sender is read."""

    #: The value of a source's `kind`.
    kind: ClassVar[str]
    #: One line for the documentation.
    summary: ClassVar[str]
    #: True when a bare token is a valid credential (`?token=`, Bearer, Basic password).
    takes_token: ClassVar[bool]
    #: True when a Standard Webhooks signature is a valid credential.
    takes_signature: ClassVar[bool]
    #: Lower-case names of the headers that are stored beside the body because `read` needs them.
    kept_headers: ClassVar[tuple[str, ...]]

    def read(self, request: RawRequest, document: Any) -> Reading:
        """Say what event `document`, the parsed JSON body, is.

        Raises InvalidPayload (422) with the places that are wrong, or InvalidRequest (400) when
        no valid event type can be found.
        """
        ...
