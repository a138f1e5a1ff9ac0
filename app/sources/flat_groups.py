"""Customers, memberships, payments, sites and domains in the flat body of a built-in webhook.

Ultimate Multisite writes one object whose members carry their group as a prefix
(`customer_user_email`, `membership_amount_raw`); which groups are there depends on the event.
Its own webhooks say neither plan nor signup date.
Whoever composes a flat body (a snippet, another plug-in) may add them under the platform's own
column names with the prefix: `membership_plan_name`, `customer_date_registered` and the others
in the tables below.

Money is read from the `*_raw` members only: the others are formatted by the network's settings.
`customer_avatar` is a piece of HTML and is not read at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.domain.coerce import ImpossibleValue, amount, count, email, flag, identifier, moment, text
from app.domain.model import Customer, Domain, Membership, Payment, Plan, Site
from app.sources.fields import Coercion, Place
from app.sources.object_groups import build_customer, read_line_items

_CUSTOMER: Mapping[str, tuple[str, Coercion]] = {
    "customer_id": ("id", identifier),
    "customer_user_id": ("user_id", identifier),
    "customer_user_email": ("email", email),
    "customer_name": ("name", text),
    "customer_first_name": ("first_name", text),
    "customer_last_name": ("last_name", text),
    "customer_date_registered": ("signup_date", moment),
    "customer_email_verification": ("email_verification", text),
    "customer_phone": ("phone", text),
    "customer_billing_address": ("billing_address", text),
    "customer_manage_url": ("manage_url", text),
    # The labelled members that the model events of old versions append.
    "company_name": ("company", text),
    "billing_country": ("country", text),
}
_MEMBERSHIP: Mapping[str, tuple[str, Coercion]] = {
    "membership_id": ("id", identifier),
    "membership_status": ("status", text),
    "membership_previous_status": ("previous_status", text),
    "membership_amount_raw": ("amount", amount),
    "membership_initial_amount_raw": ("initial_amount", amount),
    "membership_currency": ("currency", text),
    "membership_description": ("description", text),
    "membership_gateway": ("gateway", text),
    "membership_gateway_subscription_id": ("gateway_subscription_id", text),
    "membership_date_created": ("created_at", moment),
    "membership_date_expiration": ("expires_at", moment),
    "membership_date_cancellation": ("cancelled_at", moment),
    "membership_cancellation_reason": ("cancellation_reason", text),
    "membership_auto_renew": ("auto_renew", flag),
    "membership_times_billed": ("times_billed", count),
    "membership_reference_code": ("reference_code", text),
    "membership_manage_url": ("manage_url", text),
}
_PLAN: Mapping[str, tuple[str, Coercion]] = {
    "membership_plan_id": ("id", identifier),
    "membership_plan_slug": ("slug", text),
    "membership_plan_name": ("name", text),
    "membership_plan_amount_raw": ("price", amount),
}
_PREVIOUS_PLAN: Mapping[str, tuple[str, Coercion]] = {
    "membership_previous_plan_id": ("id", identifier),
    "membership_previous_plan_slug": ("slug", text),
    "membership_previous_plan_name": ("name", text),
    "membership_previous_plan_amount_raw": ("price", amount),
}
_PAYMENT: Mapping[str, tuple[str, Coercion]] = {
    "payment_id": ("id", identifier),
    "payment_status": ("status", text),
    "payment_previous_status": ("previous_status", text),
    "payment_total_raw": ("total", amount),
    "payment_subtotal_raw": ("subtotal", amount),
    "payment_tax_total_raw": ("tax_total", amount),
    "payment_refund_total_raw": ("refund_total", amount),
    "payment_currency": ("currency", text),
    "payment_product_names": ("product_names", text),
    "payment_gateway": ("gateway", text),
    "payment_gateway_payment_id": ("gateway_payment_id", text),
    "payment_date_created": ("created_at", moment),
    "payment_reference_code": ("reference_code", text),
    "payment_manage_url": ("manage_url", text),
}
_SITE: Mapping[str, tuple[str, Coercion]] = {
    "site_id": ("id", identifier),
    "site_title": ("title", text),
    "site_description": ("description", text),
    "site_url": ("url", text),
    "site_admin_url": ("admin_url", text),
}
_DOMAIN: Mapping[str, tuple[str, Coercion]] = {
    "domain_id": ("id", identifier),
    "domain_domain": ("name", text),
    "domain_site_id": ("site_id", identifier),
    "domain_stage": ("stage", text),
    "domain_active": ("active", flag),
    "domain_primary": ("primary", flag),
    "domain_secure": ("secure", flag),
    "domain_date_created": ("created_at", moment),
}

_GROUPS = (_CUSTOMER, _MEMBERSHIP, _PLAN, _PREVIOUS_PLAN, _PAYMENT, _SITE, _DOMAIN)
#: Every member there is: the place of its group, the field it fills, how it is read.
_MEMBERS: Mapping[str, tuple[int, str, Coercion]] = {
    name: (place, field, coercion)
    for place, group in enumerate(_GROUPS)
    for name, (field, coercion) in group.items()
}


class FlatGroups:
    """The groups of one flat body, each None when the body has no such group."""

    __slots__ = ("customer", "domain", "membership", "payment", "site")

    customer: Customer | None
    membership: Membership | None
    payment: Payment | None
    site: Site | None
    domain: Domain | None

    def __init__(self, data: Mapping[str, Any], place: Place) -> None:
        customer, membership, plan, previous_plan, payment, site, domain = _collect(data, place)
        has_customer = "customer_id" in data or "customer_user_email" in data
        self.customer = build_customer(customer) if has_customer else None
        self.membership = None
        self.payment = None
        if "membership_id" in data:
            self.membership = Membership(
                customer_id=customer.get("id"),
                plan=Plan(**plan) if plan else None,
                previous_plan=Plan(**previous_plan) if previous_plan else None,
                **membership,
            )
        if "payment_id" in data:
            self.payment = Payment(
                customer_id=customer.get("id"),
                membership_id=membership.get("id"),
                line_items=read_line_items(data, "payment_line_items", place),
                **payment,
            )
        self.site = Site(**site) if "site_id" in data else None
        self.domain = Domain(**domain) if "domain_id" in data else None


def _collect(data: Mapping[str, Any], place: Place) -> tuple[dict[str, Any], ...]:
    """The fields of each group, in the order of _GROUPS, in one pass over what is there."""
    found: tuple[dict[str, Any], ...] = ({}, {}, {}, {}, {}, {}, {})
    known = _MEMBERS.get
    for name, value in data.items():
        entry = known(name)
        if entry is None:
            continue
        group, field, coercion = entry
        try:
            coerced = coercion(value)
        except ImpossibleValue as failure:
            place.refuse(name, failure.detail)
            continue
        if coerced is not None:
            found[group][field] = coerced
    return found
