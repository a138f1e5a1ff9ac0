"""Every kind of sender this version can read."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from app.domain.errors import NotImplementedYet
from app.sources.base import SourceAdapter
from app.sources.cloudevents import CloudEvents
from app.sources.generic_hmac import GenericHmac
from app.sources.github import GitHub
from app.sources.relay import Relay
from app.sources.standard_webhooks import StandardWebhooks
from app.sources.stripe import Stripe
from app.sources.ultimate_multisite import UltimateMultisite
from app.sources.woocommerce import WooCommerce

_ALL: tuple[SourceAdapter, ...] = (
    UltimateMultisite(),
    StandardWebhooks(),
    CloudEvents(),
    GenericHmac(),
    Stripe(),
    WooCommerce(),
    GitHub(),
    Relay(),
)

#: Kind to adapter, the relay's own among them.
ADAPTERS: Mapping[str, SourceAdapter] = MappingProxyType(
    {adapter.kind: adapter for adapter in _ALL}
)

#: The kinds an operator can make a source of; the relay's own is not one of them.
KNOWN_KINDS: tuple[str, ...] = tuple(kind for kind in ADAPTERS if kind != Relay.kind)


def adapter_for(kind: str) -> SourceAdapter:
    """The adapter of a kind.

    Raises:
        NotImplementedYet: this version has none.
    """
    found = ADAPTERS.get(kind)
    if found is None:
        raise NotImplementedYet(
            f"This version has no source of that kind. It has: {', '.join(KNOWN_KINDS)}.",
        )
    return found
