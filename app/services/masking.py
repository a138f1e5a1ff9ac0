"""What of a request and a reply may be shown and kept."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote, quote_plus

import httpx

from app.domain import strict_json

_ALWAYS = frozenset(
    {"token", "api_key", "apikey", "key", "secret", "api_secret", "access_token", "password", "signature", "sig"}
)  # fmt: skip
_MASK = "***"
# The database refuses NUL, terminals obey the rest.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


class Masking:
    """Masks the query parameters a connector calls secret, and the values of its secret settings."""

    def __init__(self, secret_query: Iterable[str] = (), secrets: Iterable[str] = ()) -> None:
        self._names = _ALWAYS | frozenset(secret_query)
        self._secrets = tuple(
            form
            for secret in secrets
            if len(secret) >= 6  # noqa: PLR2004  shorter ones would mask ordinary words
            for form in _forms(secret)
        )
        self._masked = lru_cache(maxsize=16)(self._mask)
        self._last: tuple[httpx.URL | None, str] = (None, "")

    def url(self, url: httpx.URL) -> str:
        """The URL with its secrets masked."""
        last, shown = self._last
        # Most targets have one URL, and to write it down costs more than to see that it is this one.
        if url is not last:
            shown = self._masked(str(url))
            self._last = (url, shown)
        return shown

    def header(self, name: str, value: str) -> str:
        """A reply's header with secrets masked; a redirect repeats what stood in the request's URL."""
        if name == "location":
            try:
                return self._masked(value)
            except (httpx.InvalidURL, ValueError):
                value = value.partition("?")[0]
        return self.text(value)

    def text(self, text: str) -> str:
        """A reply's text with secrets masked and without control characters."""
        for secret in self._secrets:
            text = text.replace(secret, _MASK)
        return _CONTROL.sub("�", text)

    def _mask(self, text: str) -> str:
        url = httpx.URL(text)
        if url.query:
            pairs = [
                (name, _MASK if name.lower() in self._names else value)
                for name, value in url.params.multi_items()
            ]
            url = url.copy_with(query="&".join(f"{n}={v}" for n, v in pairs).encode())
        return self.text(str(url))


def _forms(secret: str) -> Iterable[str]:
    """The secret as it may stand in a text: as it is, in JSON, in a URL and in a form."""
    in_json = strict_json.write(secret).decode()[1:-1]
    return dict.fromkeys((secret, in_json, quote(secret, safe=""), quote_plus(secret)))
