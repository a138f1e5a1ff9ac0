"""`/docs`, `/redoc` and `/openapi.json`.

The pages load Swagger UI and ReDoc from a public CDN, as FastAPI's own do: without a way out to
the Internet the browser shows an empty page, while the document itself is always there.
The content security policy lets them load nothing else, and talk to this relay alone.
"""

from __future__ import annotations

from functools import cache

from fastapi import APIRouter, FastAPI, Response
from fastapi.openapi.docs import get_redoc_html, get_swagger_ui_html

from app.api import openapi

_TITLE = "Lifecycle Relay"
_CDN = "https://cdn.jsdelivr.net"
# The pages hold one inline script that starts the viewer; the viewers draw with inline styles.
_POLICY = (
    f"default-src 'none'; script-src 'self' 'unsafe-inline' {_CDN}; worker-src blob:;"
    f" style-src 'self' 'unsafe-inline' {_CDN}; font-src data:; img-src 'self' data: {_CDN};"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_NO_ICON = "data:,"


def documentation_router(app: FastAPI) -> APIRouter:
    """The routes that show what `app` offers; the document is built once, when first asked for."""
    router = APIRouter(include_in_schema=False)
    document = cache(lambda: openapi.written(app))

    @router.get("/openapi.json")
    async def openapi_document() -> Response:
        return Response(document(), media_type="application/json")

    @router.get("/docs")
    async def swagger_ui() -> Response:
        page = get_swagger_ui_html(
            openapi_url="openapi.json",
            title=f"{_TITLE}: try it out",
            swagger_favicon_url=_NO_ICON,
            swagger_ui_parameters={
                "docExpansion": "none",
                "displayRequestDuration": True,
                "defaultModelsExpandDepth": 0,
                "tryItOutEnabled": True,
            },
        )
        return _with_policy(page)

    @router.get("/redoc")
    async def redoc() -> Response:
        page = get_redoc_html(
            openapi_url="openapi.json",
            title=f"{_TITLE}: reference",
            redoc_favicon_url=_NO_ICON,
            with_google_fonts=False,
        )
        return _with_policy(page)

    return router


def _with_policy(page: Response) -> Response:
    page.headers["Content-Security-Policy"] = _POLICY
    return page
