"""Customers, memberships, payments, sites and domains that are sent as objects of their own.

A field's own name is the relay's (`signup_date`, `expires_at`).
It may also have the name that Ultimate Multisite's objects give it in PHP and over REST
(`date_registered`, `date_expiration`), so that the bridge can send either, and so can another
platform; the own name wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain.coerce import amount, count, email, flag, identifier, moment, text
from app.domain.model import Customer, Domain, LineItem, Membership, Payment, Plan, Site
from app.sources.fields import Place, collect, object_at, table

#: No platform bills more lines at once; a longer list is refused rather than read.
MOST_LINE_ITEMS = 1000

#: The order in which the platform itself joins an address into one text.
_ADDRESS_PARTS = (
    "company_name",
    "billing_email",
    "billing_address_line_1",
    "billing_address_line_2",
    "billing_country",
    "billing_state",
    "billing_city",
    "billing_zip_code",
)

_CUSTOMER = table(
    {
        "id": identifier,
        "user_id": identifier,
        "email": email,
        "name": text,
        "first_name": text,
        "last_name": text,
        "signup_date": moment,
        "email_verification": text,
        "phone": text,
        "company": text,
        "country": text,
        "manage_url": text,
    },
    {
        "user_email": "email",
        "email_address": "email",
        "display_name": "name",
        "date_registered": "signup_date",
        "created_at": "signup_date",
        "company_name": "company",
    },
)
_MEMBERSHIP = table(
    {
        "id": identifier,
        "status": text,
        "previous_status": text,
        "customer_id": identifier,
        "amount": amount,
        "initial_amount": amount,
        "currency": text,
        "description": text,
        "gateway": text,
        "gateway_subscription_id": text,
        "created_at": moment,
        "expires_at": moment,
        "cancelled_at": moment,
        "cancellation_reason": text,
        "auto_renew": flag,
        "times_billed": count,
        "reference_code": text,
        "manage_url": text,
    },
    {
        "old_status": "previous_status",
        "date_created": "created_at",
        "date_expiration": "expires_at",
        "date_cancellation": "cancelled_at",
    },
)
_PLAN = table({"id": identifier, "slug": text, "name": text, "price": amount}, {"amount": "price"})
_PAYMENT = table(
    {
        "id": identifier,
        "status": text,
        "previous_status": text,
        "customer_id": identifier,
        "membership_id": identifier,
        "total": amount,
        "subtotal": amount,
        "tax_total": amount,
        "refund_total": amount,
        "currency": text,
        "product_names": text,
        "gateway": text,
        "gateway_payment_id": text,
        "created_at": moment,
        "reference_code": text,
        "manage_url": text,
    },
    {"old_status": "previous_status", "date_created": "created_at"},
)
_LINE_ITEM = table(
    {
        "title": text,
        "quantity": count,
        "unit_price": amount,
        "total": amount,
        "kind": text,
        "product_id": identifier,
    },
    {"name": "title", "type": "kind"},
)
# The platform's `site_id` is the network's; the id of the site is `blog_id`.
_SITE = table(
    {"id": identifier, "title": text, "description": text, "url": text, "admin_url": text},
    {"blog_id": "id", "name": "title"},
)
_DOMAIN = table(
    {
        "id": identifier,
        "name": text,
        "site_id": identifier,
        "stage": text,
        "active": flag,
        "primary": flag,
        "secure": flag,
        "created_at": moment,
    },
    {
        "domain": "name",
        "blog_id": "site_id",
        "primary_domain": "primary",
        "date_created": "created_at",
    },
)


def given_and_family_name(name: str) -> tuple[str | None, str | None]:
    """First and last name, derived from a display name: the first word, and the rest.

    The platform knows one display name only.
    A single word is a first name; a name with an at sign is an address and gives neither.
    `name` is not blank: a blank one is read as none.
    """
    if "@" in name:
        return None, None
    first, *rest = name.split(None, 1)
    return first, rest[0] if rest else None


def build_customer(found: dict[str, Any]) -> Customer:
    """The customer of these fields, with the names that follow from the display name."""
    name = found.get("name")
    if name is not None and "first_name" not in found and "last_name" not in found:
        found["first_name"], found["last_name"] = given_and_family_name(name)
    return Customer(**found)


def read_customer(members: Mapping[str, Any], place: Place) -> Customer:
    """A customer; its country comes from a labelled member only, never from a joined address."""
    found = collect(members, _CUSTOMER, place)
    address = members.get("billing_address")
    if isinstance(address, dict):
        _add_address(found, address, place.beneath("billing_address"))
    elif address:
        found["billing_address"] = place.text(members, "billing_address")
    return build_customer(found)


def _add_address(found: dict[str, Any], address: Mapping[str, Any], place: Place) -> None:
    parts = {name: place.text(address, name) for name in _ADDRESS_PARTS}
    found["billing_address"] = "\n".join([part for part in parts.values() if part]) or None
    found.setdefault("company", parts["company_name"])
    found.setdefault("country", parts["billing_country"])
    found.setdefault("phone", place.text(address, "billing_phone"))


def read_membership(members: Mapping[str, Any], place: Place) -> Membership:
    """A membership; its plan is said outright, or is the plan among its products."""
    found = collect(members, _MEMBERSHIP, place)
    gateway = object_at(members, "gateway_info")
    if gateway:
        inner = place.beneath("gateway_info")
        for name in ("gateway", "gateway_subscription_id"):
            found.setdefault(name, inner.text(gateway, name))
    plan = _plan_at(members, "plan", place) or _bought_plan(members, place)
    previous_plan = _plan_at(members, "previous_plan", place)
    return Membership(plan=plan, previous_plan=previous_plan, **found)


def _plan_at(members: Mapping[str, Any], name: str, place: Place) -> Plan | None:
    """The plan under `name`: an object, or just its name."""
    value = members.get(name)
    if isinstance(value, dict):
        return _plan(value, place.beneath(name))
    title = place.text(members, name) if isinstance(value, str) else None
    return Plan(name=title) if title else None


def _plan(members: Mapping[str, Any], place: Place) -> Plan | None:
    found = collect(members, _PLAN, place)
    return Plan(**found) if found else None


def _bought_plan(members: Mapping[str, Any], place: Place) -> Plan | None:
    """The product of type `plan` in `compiled_product_list`, or the bare `plan_id`."""
    products = members.get("compiled_product_list")
    for position, entry in enumerate(products if isinstance(products, list) else ()):
        product = object_at(entry, "product") if isinstance(entry, dict) else {}
        if product.get("type") == "plan":
            return _plan(product, place.entry("compiled_product_list", position).beneath("product"))
    plan_id = place.read(members, "plan_id", identifier)
    return Plan(id=plan_id) if plan_id else None


def read_payment(members: Mapping[str, Any], place: Place) -> Payment:
    """A payment with its line items."""
    found = collect(members, _PAYMENT, place)
    line_items = read_line_items(members, "line_items", place)
    if line_items and "product_names" not in found:
        titles = ", ".join([item.title for item in line_items if item.title])
        found["product_names"] = text(titles)
    return Payment(line_items=line_items, **found)


def read_line_items(
    members: Mapping[str, Any],
    name: str,
    place: Place,
) -> tuple[LineItem, ...]:
    """The lines of a payment: a list, or (over REST) an object keyed by their ids."""
    value = members.get(name)
    if not value:
        return ()
    if not isinstance(value, (dict, list)):
        place.refuse(name, "must be a list of line items")
        return ()
    if len(value) > MOST_LINE_ITEMS:
        place.refuse(name, f"must have at most {MOST_LINE_ITEMS} line items")
        return ()
    entries: Any = value.items() if isinstance(value, dict) else enumerate(value)
    return tuple(
        _line_item(entry, place.entry(name, key))
        for key, entry in entries
        if isinstance(entry, dict)
    )


def _line_item(members: Mapping[str, Any], place: Place) -> LineItem:
    found = collect(members, _LINE_ITEM, place)
    found.setdefault("title", "")
    return LineItem(**found)


def read_site(members: Mapping[str, Any], place: Place) -> Site:
    """A site."""
    return Site(**collect(members, _SITE, place))


def read_domain(members: Mapping[str, Any], place: Place) -> Domain:
    """A mapped domain name."""
    return Domain(**collect(members, _DOMAIN, place))
