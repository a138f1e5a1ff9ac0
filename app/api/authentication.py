"""Who calls the management API, and whether they may.

`Authorization: Bearer <api key>`; a missing, a wrong and a revoked key are answered alike.
A handler asks for what it needs by the type of a parameter: `ReadAccess`, `WriteAccess` or
`AdminAccess`, each a Principal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.domain.errors import Forbidden
from app.services.manage_api_keys import ManageApiKeys, Principal, Scope

__all__ = ["AdminAccess", "Principal", "ReadAccess", "WriteAccess", "authenticate"]

_BEARER = "bearer"
#: Declares the scheme in the OpenAPI document; the key itself is read by `authenticate`.
_scheme = HTTPBearer(
    scheme_name="ApiKey",
    description="An API key, as `Authorization: Bearer rk_…`. Its scope is `read`, `write` (which"
    " includes `read`) or `admin` (which includes both).",
    auto_error=False,
)


async def authenticate(request: Request) -> Principal:
    """The caller, looked up once a request. Raises Unauthorized."""
    known: Principal | None = getattr(request.state, "principal", None)
    if known is not None:
        return known
    api_keys: ManageApiKeys = request.app.state.services.api_keys
    principal = await api_keys.authenticate(_key(request))
    request.state.principal = principal
    return principal


def _key(request: Request) -> str | None:
    """The key that was sent; None also when several were, which one is meant is a guess."""
    values = request.headers.getlist("authorization")
    if len(values) != 1:
        return None
    scheme, _, key = values[0].partition(" ")
    return key.strip() if scheme.lower() == _BEARER else None


def _needing(scope: Scope) -> Callable[..., Awaitable[Principal]]:
    async def allowed(
        request: Request,
        _documented: Annotated[HTTPAuthorizationCredentials | None, Security(_scheme)],
    ) -> Principal:
        principal = await authenticate(request)
        if not principal.scope.allows(scope):
            raise Forbidden(
                f"This needs a key with the scope {scope.value}; this one has {principal.scope.value}."
            )
        return principal

    return allowed


ReadAccess = Annotated[Principal, Depends(_needing(Scope.READ))]
WriteAccess = Annotated[Principal, Depends(_needing(Scope.WRITE))]
AdminAccess = Annotated[Principal, Depends(_needing(Scope.ADMIN))]
