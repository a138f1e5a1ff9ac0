"""`GET /`: the operator's page, one document with its scripts and its style.

Its links to the documentation are there when the documentation is.

Nothing is loaded from elsewhere and nothing stands in the page itself: the key an operator enters
stays in the browser's session, and every text from the API is written as text, never as markup.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from fastapi import APIRouter, Response

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: What leads to the documentation.
_DOCUMENTATION = re.compile(rb"^ *<nav .*</nav>\n", re.MULTILINE)
#: Path, file and media type.
_FILES = (
    ("/", "index.html", "text/html"),
    ("/assets/relay.css", "relay.css", "text/css"),
    ("/assets/words.js", "words.js", "text/javascript"),
    ("/assets/relay.js", "relay.js", "text/javascript"),
)


@cache
def pages_router(*, docs: bool) -> APIRouter:
    """The routes, made once for all applications. `docs`: whether /docs and /redoc are served."""
    router = APIRouter(include_in_schema=False)
    for path, name, media_type in _FILES:
        content = resources.files("app.web").joinpath("static", name).read_bytes()
        _add(router, path, content if docs else _DOCUMENTATION.sub(b"", content), media_type)
    return router


def _add(router: APIRouter, path: str, content: bytes, media_type: str) -> None:
    async def page() -> Response:
        return Response(
            content,
            media_type=media_type,
            headers={
                "Cache-Control": "no-cache",
                "Content-Security-Policy": _POLICY,
                "Referrer-Policy": "no-referrer",
            },
        )

    router.add_api_route(path, page, response_class=Response)
