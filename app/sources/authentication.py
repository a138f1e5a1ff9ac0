"""Whether a request may speak for a source.

Three credentials exist.
A token is for senders that cannot sign: in the query (`?token=`), as `Authorization: Bearer`, or
as the password of HTTP Basic, which is what WordPress makes of `https://user:token@host/…`.
A Standard Webhooks signature is for those that can, and some vendors sign in a way of their own,
which their adapter knows (`is_signed`).
One valid credential is enough, whatever else came along; the answer to a missing one and to a
wrong one is the same.
Runs before the body is parsed.
"""

from __future__ import annotations

from base64 import b64decode

from app.domain import signing
from app.domain.errors import Unauthorized
from app.domain.model import RawRequest
from app.sources.base import Credentials, SourceAdapter

_DETAIL = (
    "The request has no valid credential for this source. Send its token (?token=, "
    "Authorization: Bearer, or as the password of HTTP Basic), a Standard Webhooks signature, or "
    "the signature of the source's kind."
)
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="webhooks"'}


def authenticate(
    adapter: SourceAdapter,
    request: RawRequest,
    credentials: Credentials,
    now: int,
    tolerance: int = signing.DEFAULT_TOLERANCE,
) -> None:
    """Let the request pass, or refuse it.

    `now` is in seconds since 1970; `tolerance` is how far a signature's timestamp may be from it,
    in seconds, either way.

    Raises:
        Unauthorized: no credential in the request is valid; always with the same text.
    """
    if adapter.takes_token and credentials.token_hashes and _token_matches(request, credentials):
        return
    if adapter.takes_signature and _signature_matches(request, credentials, now, tolerance):
        return
    keys = credentials.signing_secrets
    if keys and adapter.is_signed(request, keys, now):
        return
    raise Unauthorized(_DETAIL, headers=_CHALLENGE)


def _token_matches(request: RawRequest, credentials: Credentials) -> bool:
    for token in _tokens(request):
        if signing.matches_any(signing.token_digest(token), credentials.token_hashes):
            return True
    return False


def _tokens(request: RawRequest) -> list[str]:
    """Every token the request shows."""
    in_query = request.query.get("token")
    found = [in_query] if in_query else []
    header = request.headers.get("authorization")
    if not header or "authorization" in request.repeated_headers:
        return found
    scheme, _, value = header.partition(" ")
    scheme, value = scheme.lower(), value.strip()
    if scheme == "bearer" and value:
        found.append(value)
    elif scheme == "basic" and (password := _password(value)):
        found.append(password)
    return found


def _password(encoded: str) -> str | None:
    """The password of HTTP Basic (RFC 7617); None when it cannot be decoded."""
    try:
        decoded = b64decode(encoded, validate=True).decode("latin-1")
    except ValueError:
        return None
    _, colon, password = decoded.partition(":")
    return password if colon else None


def _signature_matches(
    request: RawRequest,
    credentials: Credentials,
    now: int,
    tolerance: int,
) -> bool:
    if not credentials.signing_secrets or signing.SIGNATURE_HEADER not in request.headers:
        return False
    try:
        signing.verify(
            request.headers,
            request.body,
            credentials.signing_secrets,
            now,
            tolerance,
            request.repeated_headers,
        )
    except signing.InvalidSignature:
        return False
    return True
