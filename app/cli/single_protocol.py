"""HTTP/1.1 and nothing else: offers of another protocol are declined, and trailers are no headers.

A client may offer to go on in HTTP/2 (`Upgrade: h2c`), as Java's does with every request that is
not encrypted.
A server that does not take the offer answers the request as if it were not there (RFC 9110, 7.8);
the parser instead ends the request at its head, and its body would be lost.

What stands behind the last chunk is a trailer, and must not be taken for a header (RFC 9110, 6.5.1).
"""

from __future__ import annotations

import httptools

from app.cli.problem_protocol import ProblemProtocol

_MALFORMED = "Invalid HTTP request received."
_OFFERS = frozenset({b"upgrade", b"http2-settings"})
_KEPT_OPTIONS = frozenset({b"close", b"keep-alive"})


class SingleProtocol(ProblemProtocol):
    """Goes on in HTTP/1.1, whatever else a client would like to speak."""

    #: True for a head that makes an offer, until it is read again.
    _offered = False

    def data_received(self, data: bytes) -> None:
        """Pass on what came; a head that offers another protocol is read again without the offer."""
        self._unset_keepalive_if_required()
        while True:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                if self.parser.get_method() == b"CONNECT":
                    break
                data = self._head_without_offers() + data[offer.args[0] :]
                self._begin_anew()
            except httptools.HttpParserError:
                break
            else:
                return
        self.logger.warning(_MALFORMED)
        self.send_400_response(_MALFORMED)

    def on_headers_complete(self) -> None:
        """Begin the request, unless its head is going to be read again."""
        self._offered = self.parser.should_upgrade()
        if not self._offered:
            super().on_headers_complete()
            # The list of the request is full: what comes now are trailers.
            self.headers = []

    def on_message_complete(self) -> None:
        """End the request, unless its head is going to be read again."""
        if not self._offered:
            super().on_message_complete()

    def _begin_anew(self) -> None:
        # After an offer and `Connection: close` the old parser takes nothing more.
        self._offered = False
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def _head_without_offers(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/" + version]
        for name, value in self.headers:
            kept = _options(value) if name == b"connection" else value
            if name not in _OFFERS and (kept or name != b"connection"):
                lines.append(name + b": " + kept)
        return b"\r\n".join([*lines, b"", b""])


def _options(value: bytes) -> bytes:
    """The options of a Connection field that are about the connection, not about an offer."""
    given = [option.strip() for option in value.split(b",")]
    return b", ".join(option for option in given if option.lower() in _KEPT_OPTIONS)
