r"""Which URLs a target may be registered with.

This is the first of two gates, and the weaker one: it reads text.
What a name resolves to is only known when a connection is made, and is judged there
(app.egress.guard), on every attempt.
Here a mistake is caught early, with a sentence that helps, and only one spelling is stored:
the one on which the validating parser (pydantic, the WHATWG rules) and the sending one (httpx,
RFC 3986) agree.
They read `http://example.com\@127.0.0.1/` as two different hosts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network

import httpx
from pydantic import AnyHttpUrl, TypeAdapter, ValidationError

from app.domain.addresses import METADATA_ADDRESSES, Address, AddressPolicy, unmapped

LONGEST_URL = 2048
_LONGEST_NAME = 253
_LOOPBACK = IPv4Address("127.0.0.1")
_SETTING = "RELAY_ALLOWED_PRIVATE_NETWORKS"

#: Networks an operator may well run targets in; for an address elsewhere no setting is suggested.
_PRIVATE = (
    IPv4Network("10.0.0.0/8"),
    IPv4Network("100.64.0.0/10"),
    IPv4Network("127.0.0.0/8"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
    IPv6Network("::1/128"),
    IPv6Network("fc00::/7"),
)

#: Below 1024 only the ports of HTTP; above, not those of services that understand a pasted request.
_LOW_PORTS = frozenset({80, 443})
_SERVICE_PORTS = frozenset(
    {
        *(1433, 1521, 3306, 5432, 5984, 6379, 9042, 11211, 27017, 27018, 27019),  # databases
        *(9200, 9300, 8086),  # search and time series
        *(2375, 2376, 2379, 2380, 6443, 8500, 10250, 10255),  # docker, etcd, kubernetes, consul
        *(2049, 3389, 4369, 5672, 5900, 6000, 6667, 9092, 61613),  # files, desktops, brokers, chat
    }
)
_FIRST_FREE_PORT = 1024
_LAST_PORT = 65535

_FORBIDDEN_CHARACTER = re.compile(r"[\x00-\x20\x7f-\xa0\\\ud800-\udfff]")
_FORM = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#]+)(?P<rest>.*)", re.IGNORECASE)
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]+\]|[^\[\]:]+)(?::(?P<port>[0-9]{1,5}))?")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_ANY_HTTP_URL = TypeAdapter(AnyHttpUrl)
_HTTPS_PORT = 443
_HTTP_PORT = 80


class UnsafeUrl(ValueError):
    """A URL no target may have; the text is one sentence: what is wrong, and what to do."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class UrlPolicy:
    """What decides about a target's URL.

    `denied_hosts` are the relay's own names, in lower case, each as `name` (every port) or as
    `name:port`: a target there would send events round in circles.
    """

    addresses: AddressPolicy
    require_https: bool = False
    denied_hosts: frozenset[str] = frozenset()


def check_target_url(text: str, policy: UrlPolicy) -> str:
    """The URL in the one form that is stored: A-label host, no default port, a path.

    Raises UnsafeUrl.
    """
    scheme, host_text = _split(text)
    if policy.require_https and scheme != "https":
        raise UnsafeUrl("The URL must begin with https://.")
    url = _agreed(text, scheme, host_text)
    port = url.port or (_HTTPS_PORT if scheme == "https" else _HTTP_PORT)
    host = url.raw_host.decode("ascii")
    operators_own = _check_host(host, policy)
    if not operators_own:
        _check_port(port)
    if policy.denied_hosts & {host, f"{host}:{port}"}:
        raise UnsafeUrl("The URL is this relay's own; events sent there would come back for ever.")
    stored = f"{scheme}://{url.netloc.decode('ascii')}{url.raw_path.decode('ascii')}"
    if len(stored) > LONGEST_URL:
        raise UnsafeUrl(f"The URL is longer than {LONGEST_URL} characters.")
    return stored


def _split(text: str) -> tuple[str, str]:
    """Scheme in lower case, and the host as it is written."""
    if len(text) > LONGEST_URL:
        raise UnsafeUrl(f"The URL is longer than {LONGEST_URL} characters.")
    if _FORBIDDEN_CHARACTER.search(text) is not None:
        raise UnsafeUrl("The URL contains a space, a control character or a backslash.")
    form = _FORM.fullmatch(text)
    if form is None:
        raise UnsafeUrl("The URL must begin with http:// or https:// and name a host.")
    if "#" in form["rest"]:
        raise UnsafeUrl("The URL has a fragment (#…), which is never sent; leave it out.")
    if "@" in form["authority"]:
        raise UnsafeUrl("The URL contains a user name; send credentials in a header instead.")
    authority = _AUTHORITY.fullmatch(form["authority"])
    if authority is None or "%" in authority["host"]:
        raise UnsafeUrl("The host or the port of the URL is not well-formed.")
    if authority["port"] is not None and not 0 < int(authority["port"]) <= _LAST_PORT:
        raise UnsafeUrl(f"The port of a URL is a number from 1 to {_LAST_PORT}.")
    return form["scheme"].lower(), authority["host"]


def _agreed(text: str, scheme: str, host_text: str) -> httpx.URL:
    """The parsed URL, when both parsers find the same host in it."""
    # httpx keeps a default port behind a scheme in capitals.
    text = scheme + text[len(scheme) :]
    try:
        judged = _ANY_HTTP_URL.validate_python(text)
        sent = httpx.URL(text)
        # Raises for a host that is no valid IDNA name, which the constructor lets through.
        _ = sent.host
    except (ValidationError, httpx.InvalidURL, ValueError) as error:
        raise UnsafeUrl("The host or the port of the URL is not well-formed.") from error
    if _same_host(judged.host or "", sent.raw_host.decode("ascii")):
        return sent
    if _as_address(judged.host or "") is not None:
        raise UnsafeUrl(
            f"The host {host_text!r} is another spelling of an IP address;"
            " write it as four decimal numbers, or use a name."
        )
    raise UnsafeUrl("The host of the URL can be read in two ways; write it in plain ASCII.")


def _same_host(judged: str, sent: str) -> bool:
    if judged == sent:
        return True
    address = _as_address(judged)
    return address is not None and address == _as_address(sent)


def _as_address(host: str) -> Address | None:
    try:
        return ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return None


def _check_host(host: str, policy: UrlPolicy) -> bool:
    """True when the operator's own list is why this host may be reached: then any port may."""
    address = _as_address(host)
    if address is not None:
        if not policy.addresses.verdict(address):
            raise UnsafeUrl(_why_denied(address, policy.addresses))
        return policy.addresses.is_operator_allowed(address)
    labels = host.split(".")
    if len(host) > _LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise UnsafeUrl(
            f"The host of the URL is not a name: labels of 1 to 63 letters, digits and hyphens,"
            f" {_LONGEST_NAME} characters in all, no dot at the end."
        )
    if labels[-1] == "localhost":
        if not policy.addresses.verdict(_LOOPBACK):
            raise UnsafeUrl(
                f"{host} is the relay's own machine; add 127.0.0.0/8 to {_SETTING}"
                " if targets may run there."
            )
        return True
    if len(labels) == 1 and not policy.addresses.allowed_networks:
        raise UnsafeUrl(
            f"{host!r} is not a full host name; a name without a dot is only looked up"
            f" where {_SETTING} is set."
        )
    return False


def _why_denied(address: Address, policy: AddressPolicy) -> str:
    plain = unmapped(address)
    if plain in METADATA_ADDRESSES or not any(plain in network for network in _PRIVATE):
        return f"The address {address} is not one that targets may have; use a public host."
    if not replace(policy, allowed_networks=(ip_network(plain),)).verdict(plain):
        return f"The address {address} is denied to targets by the operator."
    return (
        f"The address {address} is private; add its network to {_SETTING} if targets may run there."
    )


def _check_port(port: int) -> None:
    if port in _SERVICE_PORTS or (port < _FIRST_FREE_PORT and port not in _LOW_PORTS):
        raise UnsafeUrl(
            f"Port {port} belongs to another kind of service; use 80, 443 or one from"
            f" {_FIRST_FREE_PORT} up."
        )
