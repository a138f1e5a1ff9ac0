"""What went wrong on the way, in the words of the delivery engine.

The reason is shown to whoever owns the target.
For everything before a connection stands it is one and the same sentence, whether the name is
unknown, the address forbidden or the port closed: anything more would turn the relay into a
scanner of the network it stands in.
The detail is for the operator's log alone.
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass

from aiohttp import (
    ClientConnectionError,
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientError,
    ClientPayloadError,
    InvalidURL,
)
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EofStream

from app.domain.outcome import TransportFailure
from app.egress.guard import AddressRefused, NameNotResolved
from app.egress.message import Unsendable

UNREACHABLE = "The host could not be reached or is not allowed."
CUT_OFF = "The connection was closed before the answer was complete."
NO_TLS = "The host did not agree on a TLS connection."
NOT_HTTP = "The answer is not valid HTTP."

#: Everything the connector, the parser and the sockets below are known to raise.
EXPECTED = (
    ClientError,
    HttpProcessingError,
    EofStream,
    OSError,
    RuntimeError,  # uvloop's word for a closed handle, and aiohttp's for a closed stream
    ValueError,
)

_Kinds = tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str, str], ...]
# In this order: all but one are OSErrors.
_WHILE_CONNECTING: _Kinds = (
    (AddressRefused, "address", UNREACHABLE),
    (NameNotResolved, "dns", UNREACHABLE),
    (ssl.SSLError, "tls", NO_TLS),
    (BaseException, "connect", UNREACHABLE),
)
_AFTERWARDS: _Kinds = (
    # A host that is no name, or a number in a form only the C library reads (127.1).
    (InvalidURL, "address", UNREACHABLE),
    ((ClientConnectionError, ClientPayloadError, EofStream), "reset", CUT_OFF),
    ((OSError, RuntimeError), "reset", CUT_OFF),
    (ValueError, "address", UNREACHABLE),
)


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure before it is known what had been sent: `detail` never leaves the operator's log."""

    code: str
    reason: str
    detail: str

    def raised(self, *, may_have_arrived: bool) -> TransportFailure:
        """The exception for the delivery engine."""
        return TransportFailure(self.code, self.reason, may_have_arrived=may_have_arrived)


def explain(error: BaseException, *, secure: bool) -> Failure:
    """Class, public reason and private detail of one of the EXPECTED errors.

    `secure` says whether TLS was wanted: then a connection that is reset while it is being made
    was given up in the handshake.
    """
    detail = str(error) or type(error).__name__
    if isinstance(error, ClientConnectorCertificateError):
        return Failure("tls", _certificate_reason(error), detail)
    if isinstance(error, Unsendable):
        return Failure("request", f"The request cannot be sent: {error}.", detail)
    connecting = isinstance(error, ClientConnectorError)
    cause = error.os_error if isinstance(error, ClientConnectorError) else error
    if connecting and secure and isinstance(cause, ConnectionResetError | ConnectionAbortedError):
        return Failure("tls", NO_TLS, detail)
    for kinds, code, reason in _WHILE_CONNECTING if connecting else _AFTERWARDS:
        if isinstance(cause, kinds):
            return Failure(code, reason, _where(error) if code == "connect" else str(cause))
    return Failure("protocol", NOT_HTTP, detail)


def _where(error: BaseException) -> str:
    """Which address did not take the connection, and the system's words for why.

    aiohttp's own text shows the TLS context as an object of Python.
    """
    if not isinstance(error, ClientConnectorError):
        return str(error)
    cause = error.os_error
    why = os.strerror(cause.errno) if cause.errno and cause.errno > 0 else str(cause)
    return f"{error.host}:{error.port}: {why}"


def timed_out(deadline: float, *, connected: bool) -> Failure:
    """The total deadline passed, in seconds."""
    what = "complete answer" if connected else "connection"
    reason = f"There was no {what} within {deadline:g} seconds."
    return Failure("timeout", reason, reason)


def _certificate_reason(error: ClientConnectorCertificateError) -> str:
    certificate_error = error.certificate_error
    words = getattr(certificate_error, "verify_message", "") or "it could not be verified"
    return f"The TLS certificate of the host is not valid: {words.rstrip('.')}."
