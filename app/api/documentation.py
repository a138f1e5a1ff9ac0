"""`/docs`, `/redoc` and `/openapi.json`.

The viewers come with the installation (the package fastapi-offline), so the pages work without a
way out to the Internet, and nobody else learns that somebody reads them.
The content security policy lets a page load what this relay serves, talk to this relay alone, and
run no script that stands in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import metadata, resources
from types import MappingProxyType

from fastapi import APIRouter, FastAPI, Response
from fastapi.responses import FileResponse

from app.api import openapi
from app.domain.errors import NotFound

_TITLE = "Lifecycle Relay"
# The viewers draw with styles they write into the page; Swagger UI's icons and ReDoc's search
# stand in their scripts.
_POLICY = (
    "default-src 'none'; script-src 'self'; worker-src blob:; style-src 'self' 'unsafe-inline';"
    " font-src data:; img-src 'self' data:; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
_PACKAGE = "fastapi-offline"
#: The files of the viewers, by their names there, which are those of their makers.
_VIEWERS: Mapping[str, str] = MappingProxyType(
    {
        "swagger-ui-bundle.js": "text/javascript",
        "swagger-ui.css": "text/css",
        "redoc.standalone.js": "text/javascript",
    }
)
_FOR_EVER = "public, max-age=31536000, immutable"

_START_SWAGGER = """\
window.relay = SwaggerUIBundle({
  url: new URL("openapi.json", document.baseURI).href,
  dom_id: "#swagger-ui",
  layout: "BaseLayout",
  deepLinking: true,
  docExpansion: "none",
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  tryItOutEnabled: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIBundle.SwaggerUIStandalonePreset],
});
"""
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>body {{ margin: 0 }}</style>
{head}</head>
<body>
{body}</body>
</html>
"""
_SWAGGER_HEAD = '<link rel="stylesheet" href="docs/assets/swagger-ui.css?v={version}">\n'
_SWAGGER_BODY = """\
<div id="swagger-ui"></div>
<script src="docs/assets/swagger-ui-bundle.js?v={version}"></script>
<script src="docs/start.js"></script>
"""
_REDOC_BODY = """\
<redoc spec-url="openapi.json"></redoc>
<script src="docs/assets/redoc.standalone.js?v={version}"></script>
"""


def documentation_router(app: FastAPI) -> APIRouter:
    """The routes that show what `app` offers; the document is built once, when first asked for."""
    router = APIRouter(include_in_schema=False)
    document = cache(lambda: openapi.written(app))
    version = metadata.version(_PACKAGE)
    swagger = _page("try it out", _SWAGGER_HEAD, _SWAGGER_BODY, version)
    redoc = _page("reference", "", _REDOC_BODY, version)

    @router.get("/openapi.json")
    async def openapi_document() -> Response:
        return Response(document(), media_type="application/json")

    @router.get("/docs")
    async def swagger_page() -> Response:
        return _with_policy(swagger, "text/html")

    @router.get("/docs/start.js")
    async def swagger_start() -> Response:
        return _with_policy(_START_SWAGGER, "text/javascript")

    @router.get("/docs/assets/{name}")
    async def viewer(name: str) -> Response:
        media_type = _VIEWERS.get(name)
        if media_type is None:
            raise NotFound("There is nothing at this path.")
        path = resources.files("fastapi_offline").joinpath("static", name)
        # What the address names never changes: the version stands in it.
        headers = {"Cache-Control": _FOR_EVER}
        return FileResponse(str(path), media_type=media_type, headers=headers)

    @router.get("/redoc")
    async def redoc_page() -> Response:
        return _with_policy(redoc, "text/html")

    return router


def _page(title: str, head: str, body: str, version: str) -> str:
    return _PAGE.format(
        title=f"{_TITLE}: {title}",
        head=head.format(version=version),
        body=body.format(version=version),
    )


def _with_policy(content: str, media_type: str) -> Response:
    headers = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer"}
    return Response(content, media_type=media_type, headers=headers)
