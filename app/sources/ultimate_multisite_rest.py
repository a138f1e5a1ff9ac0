"""The REST API of a network with Ultimate Multisite (`/wp-json/wu/v2`), as generators without I/O.

Each function yields `httpx.Request`, is sent the `httpx.Response`, and returns what was asked for;
who drives it is services/platform_api.py.
All raise PlatformRefused where somebody must change something (the keys, the address, a setting of
the network) and PlatformUnavailable where a later try may do; neither text holds a secret.

Facts, seen on 2.4.10 and 2.4.13: routes are singular; one key pair, by HTTP Basic or, for hosts
that drop the Authorization header, among the parameters; 2.4.13 pages by `page` and `per_page` and
tells totals in headers, 2.4.10 by `number` and `offset` and tells none.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx

from app.domain import strict_json
from app.domain.errors import PlatformRefused, PlatformUnavailable, Unreadable

T = TypeVar("T")
#: One question to the network, in one or more requests.
Asking = Generator[httpx.Request, httpx.Response, T]
Record = Mapping[str, Any]

#: The most rows that one page may have.
LARGEST_PAGE = 100
_API = "/wp-json/wu/v2"
_USERS = "/wp-json/wp/v2/users"
_CODE = re.compile(r"[a-z0-9_]{1,80}")
_NO_ROUTE = "rest_no_route"
_DEEPEST_ANSWER = 200
#: Pages of a list that is read to its end: more rows than any network has webhooks.
_MOST_PAGES = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiAccess:
    """Where a network's API is, and the keys to it.

    `base_url` is the address of the main site, without a slash at the end; `in_body` puts the
    keys among the parameters; the WordPress user and application password are for addresses of
    people only.
    """

    base_url: str
    key: str = field(repr=False)
    secret: str = field(repr=False)
    in_body: bool = False
    wp_user: str | None = None
    wp_password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some rows of a collection; `next` is the cursor of the page after it, None after the last.

    `total` is how many rows there are altogether, None where the network's version tells none.
    """

    items: Sequence[Record]
    next: str | None
    total: int | None


@dataclass(frozen=True, slots=True)
class _Position:
    """What stands in a cursor: `first`, `page:<page>:<last id>` or `offset:<rows>:<last id>`."""

    style: str = "first"
    number: int = 0
    last: str = ""

    @classmethod
    def of(cls, cursor: str | None) -> _Position:
        if cursor is None:
            return cls()
        style, number, last = cursor.split(":", 2)
        return cls(style, int(number), last)

    def __str__(self) -> str:
        return f"{self.style}:{self.number}:{self.last}"

    def parameters(self, size: int) -> dict[str, str]:
        # The first request speaks both languages: its answer says which one is understood.
        by_page = {"page": str(max(self.number, 1)), "per_page": str(size)}
        by_offset = {"number": str(size), "offset": str(self.number)}
        return {"page": by_page, "offset": by_offset}.get(self.style, by_page | by_offset)


def ask_auth(access: ApiAccess) -> Asking[str]:
    """Whether the keys are right; answers the name of the network."""
    document = _document((yield _request(access, "GET", "/auth")), access)
    if not isinstance(document, Mapping) or document.get("success") is not True:
        raise PlatformUnavailable(_strange(access))
    return str(document.get("label") or "")


def list_page(
    access: ApiAccess,
    collection: str,
    cursor: str | None = None,
    filters: Mapping[str, str] | None = None,
    *,
    size: int = LARGEST_PAGE,
) -> Asking[Page]:
    """One page of `customer`, `membership`, `payment`, `event`…, the oldest row first.

    `filters` are names and values of columns (`status`, `customer_id`), or another `order`.
    The pages are those of the moment: a row that is deleted meanwhile moves those after it.
    """
    position = _Position.of(cursor)
    parameters = {"orderby": "id", "order": "asc", **(filters or {}), **position.parameters(size)}
    response = yield _request(access, "GET", f"/{collection}", parameters)
    items = _records(_document(response, access), access)
    last = str(items[-1].get("id", "")) if items else ""
    if items and last == position.last:
        raise PlatformUnavailable(
            f"{_host(access)} answers the same page of {collection} again and again."
        )
    return Page(items=items, next=_next(position, response, items), total=_total(response))


def get_record(access: ApiAccess, collection: str, record_id: str) -> Asking[Record | None]:
    """One row of a collection, None when there is none with this id."""
    response = yield _request(access, "GET", f"/{collection}/{record_id}")
    document = _document(response, access, missing_is_none=True)
    return None if document is None else _record(document, access)


def list_users(access: ApiAccess, user_ids: Iterable[str]) -> Asking[Mapping[str, Record]]:
    """WordPress users by their id, with `email`, for up to 100 ids; unknown ones are left out.

    Needs the WordPress user and application password; without them nobody is asked and nobody is
    found. WordPress lists the users that have a role on the main site.
    """
    wanted = ",".join(user_ids)
    if access.wp_user is None or access.wp_password is None or not wanted:
        return {}
    basic = _basic(access.wp_user, access.wp_password)
    parameters = {"context": "edit", "include": wanted, "per_page": str(LARGEST_PAGE)}
    response = yield httpx.Request(
        "GET",
        f"{access.base_url}{_USERS}",
        params=parameters,
        headers={"authorization": f"Basic {basic}", "accept": "application/json"},
    )
    if response.status_code in {401, 403}:
        raise PlatformRefused(
            f"{_host(access)} refused the WordPress user and application password. The user needs"
            " the right to list and edit users (a network administrator has it)."
        )
    found = _records(_document(response, access), access)
    return {str(user.get("id")): user for user in found}


def list_webhooks(access: ApiAccess) -> Asking[Sequence[Record]]:
    """Every webhook of the network, whoever made it."""
    found: list[Record] = []
    cursor: str | None = None
    for _ in range(_MOST_PAGES):
        page = yield from list_page(access, "webhook", cursor)
        found += page.items
        cursor = page.next
        if cursor is None:
            return found
    raise PlatformUnavailable(f"{_host(access)} lists more webhooks than a network can have.")


def create_webhook(
    access: ApiAccess, *, name: str, url: str, event: str, integration: str
) -> Asking[Record]:
    """Make a webhook; answers its row, with `id`.

    An event that never fires is accepted by the network all the same.
    """
    row = {
        "name": name,
        "webhook_url": url,
        "event": event,
        "active": True,
        "hidden": False,
        "integration": integration,
    }
    response = yield _request(access, "POST", "/webhook", body=row)
    return _record(_document(response, access), access)


def change_webhook(access: ApiAccess, webhook_id: str, *, url: str) -> Asking[Record | None]:
    """Give a webhook another URL; its count goes on. None when there is none with this id."""
    body = {"webhook_url": url}
    response = yield _request(access, "PUT", f"/webhook/{webhook_id}", body=body)
    document = _document(response, access, missing_is_none=True)
    return None if document is None else _record(document, access)


def delete_webhook(access: ApiAccess, webhook_id: str) -> Asking[bool]:
    """Remove a webhook, which alone stops it; False when it was gone before."""
    response = yield _request(access, "DELETE", f"/webhook/{webhook_id}")
    return _document(response, access, missing_is_none=True) is not None


def list_hooks(access: ApiAccess) -> Asking[Mapping[str, Record]]:
    """The event types that this network knows, with sample payloads; some of them never fire."""
    document = _document((yield _request(access, "GET", "/hooks")), access)
    if document == []:  # what PHP writes for an empty object
        return {}
    if not isinstance(document, Mapping):
        raise PlatformUnavailable(_strange(access))
    return {slug: row for slug, row in document.items() if isinstance(row, Mapping)}


def plugin_status(access: ApiAccess, path: str) -> Asking[Record | None]:
    """What another plugin of the network says at `/wp-json/<path>`; None when it is not there.

    Nothing secret is sent along: the answer is anybody's to have.
    """
    url = f"{access.base_url}/wp-json/{path}"
    response = yield httpx.Request("GET", url, headers={"accept": "application/json"})
    if response.status_code in {401, 403, 404}:
        return None
    document = _document(response, access, missing_is_none=True)
    return document if isinstance(document, Mapping) else None


def _request(
    access: ApiAccess,
    method: str,
    path: str,
    parameters: Mapping[str, str] | None = None,
    *,
    body: Mapping[str, Any] | None = None,
) -> httpx.Request:
    headers = {"accept": "application/json"}
    keys = {"api_key": access.key, "api_secret": access.secret} if access.in_body else {}
    if not access.in_body:
        headers["authorization"] = f"Basic {_basic(access.key, access.secret)}"
    content = None
    if body is not None:
        headers["content-type"] = "application/json"
        content = strict_json.write({**keys, **body})
        keys = {}
    return httpx.Request(
        method,
        f"{access.base_url}{_API}{path}",
        params={**(parameters or {}), **keys},
        headers=headers,
        content=content,
    )


def _basic(user: str, password: str) -> str:
    return b64encode(f"{user}:{password}".encode()).decode("ascii")


def _document(response: httpx.Response, access: ApiAccess, *, missing_is_none: bool = False) -> Any:
    """The JSON of a good answer; every other one is raised, in words."""
    if response.extensions.get("truncated"):
        raise PlatformUnavailable(f"The answer of {_host(access)} is too long to be read.")
    code = _code(response)
    if response.is_success:
        try:
            return strict_json.read_strict(response.content, max_depth=_DEEPEST_ANSWER)
        except Unreadable:
            raise PlatformUnavailable(_strange(access)) from None
    if missing_is_none and response.status_code == httpx.codes.NOT_FOUND and code != _NO_ROUTE:
        return None
    raise _failure(response.status_code, code, access)


def _failure(status: int, code: str, access: ApiAccess) -> PlatformRefused | PlatformUnavailable:
    host, said = _host(access), f" ({status}{', ' + code if code else ''})"
    if status in {401, 403}:
        advice = (
            " Some hosts drop the Authorization header: try the setting api_credentials=body."
            if not access.in_body
            else ""
        )
        return PlatformRefused(
            f"{host} refused the API key and secret{said}. They stand under Settings, API &"
            f" Webhooks; press Refresh API Credentials there once.{advice}"
        )
    if status == httpx.codes.NOT_FOUND:
        return PlatformRefused(
            f"{host} has no API of Ultimate Multisite at this address{said}. Give the address of"
            " the network's main site, and see that the API is enabled (Settings, API & Webhooks)."
        )
    if 300 <= status < 400:  # noqa: PLR2004  the range of redirects
        return PlatformRefused(
            f"{host} answers with a redirect{said}, which is not followed with keys in hand. Give"
            " the address that it leads to, https:// and www. included."
        )
    if status == httpx.codes.TOO_MANY_REQUESTS or status >= 500:  # noqa: PLR2004  a fault of theirs
        return PlatformUnavailable(f"{host} could not answer{said}.")
    return PlatformRefused(f"{host} refused the request{said}.")


def _code(response: httpx.Response) -> str:
    """The code of WordPress's own error documents; their free text may repeat what was sent."""
    try:
        document = strict_json.read_strict(response.content[:65_536])
    except Unreadable:
        return ""
    code = document.get("code") if isinstance(document, Mapping) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else ""


def _records(document: Any, access: ApiAccess) -> list[Record]:
    if not isinstance(document, list) or not all(isinstance(row, Mapping) for row in document):
        raise PlatformUnavailable(_strange(access))
    return document


def _record(document: Any, access: ApiAccess) -> Record:
    if not isinstance(document, Mapping) or "id" not in document:
        raise PlatformUnavailable(_strange(access))
    return document


def _next(position: _Position, response: httpx.Response, items: Sequence[Record]) -> str | None:
    last = str(items[-1].get("id", "")) if items else ""
    pages = _number(response.headers.get("x-wp-totalpages"))
    if pages is not None:
        page = max(position.number, 1)
        return str(_Position("page", page + 1, last)) if items and page < pages else None
    # Without totals only an empty page is surely the last: the host may give less than was asked.
    return str(_Position("offset", position.number + len(items), last)) if items else None


def _total(response: httpx.Response) -> int | None:
    return _number(response.headers.get("x-wp-total"))


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() else None


def _host(access: ApiAccess) -> str:
    return httpx.URL(access.base_url).host


def _strange(access: ApiAccess) -> str:
    return f"{_host(access)} answered, but not as the API of Ultimate Multisite does."
