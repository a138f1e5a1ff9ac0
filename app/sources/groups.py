"""The groups a body holds, whom the event is about, and whether it is only a test.

A group is read from an object of its own (`customer: {…}`) where there is one, else from the
flat members (`customer_id`, `customer_name`…).
Only groups that are there are built.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from app.domain.catalogue import TEST_BUTTON_TYPES
from app.domain.coerce import identifier, is_zero_identifier, text
from app.domain.model import Customer, Domain, Membership, Payment, Site
from app.domain.record import record
from app.sources import object_groups
from app.sources.fields import Place
from app.sources.flat_groups import FlatGroups

_Group = TypeVar("_Group")

#: The names of the groups, which are also the names of their objects.
GROUP_NAMES = ("customer", "membership", "payment", "site", "domain")

#: The address in every body that Ultimate Multisite's "Send Test Event" button sends.
TEST_ADDRESS = "mockeduser@dev.dev"

_DIGEST_CHARACTERS = 16


@record(frozen=True, slots=True, kw_only=True)
class Groups:
    """What a body says about people, memberships, payments, sites and domains.

    `owner_id` and `owner_membership_id` are whom the site's own object says it belongs to.
    """

    customer: Customer | None = None
    membership: Membership | None = None
    payment: Payment | None = None
    site: Site | None = None
    domain: Domain | None = None
    owner_id: str | None = None
    owner_membership_id: str | None = None


def read_groups(data: Mapping[str, Any], place: Place) -> Groups:
    """Read every group of `data`, which stands at `place`; mistakes go to the place's list."""
    flat = FlatGroups(data, place)
    if not _has_objects(data):
        return Groups(
            customer=flat.customer,
            membership=flat.membership,
            payment=flat.payment,
            site=flat.site,
            domain=flat.domain,
        )
    site = data.get("site")
    owner = site if isinstance(site, dict) else {}
    beneath = place.beneath("site")
    groups = Groups(
        customer=_own(data, place, "customer", object_groups.read_customer) or flat.customer,
        membership=_own(data, place, "membership", object_groups.read_membership)
        or flat.membership,
        payment=_own(data, place, "payment", object_groups.read_payment) or flat.payment,
        site=_site(data, place) or flat.site,
        domain=_own(data, place, "domain", object_groups.read_domain) or flat.domain,
        owner_id=beneath.read(owner, "customer_id", identifier),
        owner_membership_id=beneath.read(owner, "membership_id", identifier),
    )
    customer_id = _customer_id(groups)
    if groups.customer is None and customer_id is not None:
        return replace(groups, customer=Customer(id=customer_id))
    return groups


def _has_objects(data: Mapping[str, Any]) -> bool:
    for name in GROUP_NAMES:  # noqa: SIM110  any() makes a generator, for every event
        if name in data and isinstance(data[name], dict):
            return True
    return False


def _own(
    data: Mapping[str, Any],
    place: Place,
    name: str,
    read: Callable[[Mapping[str, Any], Place], _Group],
) -> _Group | None:
    members = data.get(name)
    return read(members, place.beneath(name)) if isinstance(members, dict) else None


def _site(data: Mapping[str, Any], place: Place) -> Site | None:
    site = _own(data, place, "site", object_groups.read_site)
    if site is None or (site.url and site.admin_url):
        return site
    # demo_site_expiring puts the addresses beside the object.
    return replace(
        site,
        url=site.url or place.read(data, "site_url", text),
        admin_url=site.admin_url or place.read(data, "site_admin_url", text),
    )


def _customer_id(groups: Groups) -> str | None:
    for part in (groups.membership, groups.payment):
        if part is not None and part.customer_id is not None:
            return part.customer_id
    return groups.owner_id


def subject_of(groups: Groups) -> str | None:
    """Whom the event is about, unique within its source; an address is never spelled out."""
    customer, membership, payment = groups.customer, groups.membership, groups.payment
    customer_id = (customer and customer.id) or _customer_id(groups)
    if customer_id:
        return f"customer/{customer_id}"
    if customer is not None and customer.email:
        digest = hashlib.sha256(customer.email.lower().encode()).hexdigest()
        return f"email/{digest[:_DIGEST_CHARACTERS]}"
    membership_id = (
        (membership and membership.id)
        or (payment and payment.membership_id)
        or groups.owner_membership_id
    )
    if membership_id:
        return f"membership/{membership_id}"
    site_id = (groups.site and groups.site.id) or (groups.domain and groups.domain.site_id)
    return f"site/{site_id}" if site_id else None


def is_test(event_type: str, data: Mapping[str, Any], groups: Groups) -> bool:
    """True for what a test button sends.

    That is the button's own address, or ids that are all zero; types that only the button sends
    count as tests unless one of their ids is a real one.
    """
    customer = groups.customer
    if customer is not None and customer.email and customer.email.lower() == TEST_ADDRESS:
        return True
    parts = (customer, groups.membership, groups.payment, groups.site, groups.domain)
    for part in parts:
        if part is not None and part.id is not None:
            return False
    if event_type in TEST_BUTTON_TYPES:
        user_id = data.get("user_id")
        return not user_id or is_zero_identifier(user_id)
    return any(is_zero_identifier(_raw_id(data, name)) for name in GROUP_NAMES)


def _raw_id(data: Mapping[str, Any], name: str) -> Any:
    own = data.get(name)
    return own.get("id") if isinstance(own, dict) else data.get(f"{name}_id")
