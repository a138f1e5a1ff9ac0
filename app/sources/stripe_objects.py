"""Customers, memberships and payments in the objects of Stripe's API.

Amounts are in the currency's smallest unit, times in seconds since 1970, and a reference is an id
or, when it was expanded, the object itself.
API versions since 2025-03-31 ("basil") moved members: an invoice names its subscription under
`parent`, a line its price under `pricing`, and a subscription's period stands on its items; both
places are read (docs.stripe.com/changelog/basil).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from app.domain.model import Customer, LineItem, Membership, Payment, Plan
from app.sources.groups import Groups
from app.sources.object_groups import MOST_LINE_ITEMS, build_customer
from app.sources.vendor_object import VendorObject

_GATEWAY = "stripe"

#: Stripe's spelling of a subscription's status to the platform's.
MEMBERSHIP_STATUSES: Mapping[str, str] = {
    "active": "active",
    "trialing": "trialing",
    "past_due": "on-hold",
    "unpaid": "on-hold",
    "paused": "on-hold",
    "incomplete": "pending",
    "incomplete_expired": "expired",
    "canceled": "cancelled",
}
_INVOICE_STATUSES: Mapping[str, str] = {
    "paid": "completed",
    "open": "pending",
    "draft": "draft",
    "uncollectible": "failed",
    "void": "cancelled",
}
_CHARGE_STATUSES: Mapping[str, str] = {
    "succeeded": "completed",
    "pending": "pending",
    "failed": "failed",
}


def groups_of(thing: VendorObject, before: VendorObject) -> Groups:
    """The groups in an event's object; `before` are its attributes that changed, as they were."""
    match thing.text("object"):
        case "customer":
            return Groups(customer=_customer(thing))
        case "subscription":
            return Groups(customer=_referred(thing), membership=_subscription(thing, before))
        case "invoice":
            return Groups(
                customer=_invoiced(thing),
                membership=_invoiced_membership(thing),
                payment=_invoice(thing),
            )
        case "charge":
            return Groups(customer=_charged(thing), payment=_charge(thing))
        case _:
            return Groups(customer=_referred(thing))


def _customer(thing: VendorObject) -> Customer:
    return _person(
        thing.identifier("id"), thing, "", thing.at("address"), thing.at("shipping", "address")
    )


def _referred(thing: VendorObject) -> Customer | None:
    """The customer an object belongs to, with what a checkout session knows of it besides."""
    if thing.at("customer"):
        return _customer(thing.at("customer"))
    details = thing.at("customer_details")
    found = _person(thing.identifier("customer"), details, "", details.at("address"))
    return found if found.id or found.email else None


def _invoiced(thing: VendorObject) -> Customer:
    return _person(thing.identifier("customer"), thing, "customer_", thing.at("customer_address"))


def _charged(thing: VendorObject) -> Customer | None:
    details = thing.at("billing_details")
    found = _person(thing.identifier("customer"), details, "", details.at("address"))
    found = replace(found, email=found.email or thing.email("receipt_email"))
    return found if found.id or found.email else None


def _person(
    customer_id: str | None, members: VendorObject, prefix: str, *addresses: VendorObject
) -> Customer:
    """A customer whose members' names begin with `prefix`."""
    found = {
        "id": customer_id,
        "email": members.email(f"{prefix}email"),
        "name": members.text(f"{prefix}name"),
        "phone": members.text(f"{prefix}phone"),
        "country": next(filter(None, (address.text("country") for address in addresses)), None),
        # Of the objects read here, only a customer's own `created` is the day of the sign-up.
        "signup_date": members.unix_time("created")
        if members.text("object") == "customer"
        else None,
    }
    return build_customer(found)


def _subscription(thing: VendorObject, before: VendorObject) -> Membership:
    items = thing.at("items").items("data")
    currency = thing.text("currency")
    period_ends = [end for part in (thing, *items) if (end := part.unix_time("current_period_end"))]
    plan = _plan(items[0] if items else thing, currency)
    previous_plan = _previous_plan(before, currency)
    return Membership(
        id=thing.identifier("id"),
        status=_status(thing),
        previous_status=_status(before),
        customer_id=thing.identifier("customer"),
        plan=plan,
        # A period that moved on is told with the item it stands on, its price included.
        previous_plan=None if previous_plan == plan else previous_plan,
        amount=_sum([_price_of(item, currency) for item in items]),
        currency=_capitals(currency),
        description=thing.text("description"),
        gateway=_GATEWAY,
        gateway_subscription_id=thing.identifier("id"),
        created_at=thing.unix_time("created", "start_date"),
        expires_at=max(period_ends, default=None),
        cancelled_at=thing.unix_time("canceled_at"),
        cancellation_reason=thing.at("cancellation_details").text("feedback", "comment", "reason"),
        auto_renew=None if _ended(thing) else not thing.is_true("cancel_at_period_end"),
    )


def _status(thing: VendorObject) -> str | None:
    status = thing.text("status")
    return MEMBERSHIP_STATUSES.get(status, status) if status else None


def _ended(thing: VendorObject) -> bool:
    return thing.text("status") in {"canceled", "incomplete_expired"}


def _plan(item: VendorObject, currency: str | None) -> Plan | None:
    """What an item, or a line of an invoice, buys: its price and that price's product."""
    price = item.at("price") or item.at("plan")
    details = item.at("pricing", "price_details")
    product = price.at("product")
    plan_id = price.identifier("product") or details.identifier("product") or price.identifier("id")
    if plan_id is None:
        return None
    return Plan(
        id=plan_id,
        slug=price.text("lookup_key"),
        name=product.text("name") or price.text("nickname", "lookup_key"),
        price=_each(item, currency),
    )


def _previous_plan(before: VendorObject, currency: str | None) -> Plan | None:
    items = before.at("items").items("data")
    return _plan(items[0] if items else before, currency)


def _each(item: VendorObject, currency: str | None) -> Decimal | None:
    """What one costs; None where a price has tiers."""
    price = item.at("price") or item.at("plan")
    found = price.minor_units(currency, "unit_amount", "amount")
    if found is None:
        found = item.at("pricing").minor_units(currency, "unit_amount_decimal")
    return found


def _price_of(item: VendorObject, currency: str | None) -> Decimal | None:
    each = _each(item, currency)
    quantity = item.count("quantity")
    return None if each is None else each * (1 if quantity is None else quantity)


def _invoice(thing: VendorObject) -> Payment:
    currency = thing.text("currency")
    lines = thing.at("lines").items("data")[:MOST_LINE_ITEMS]
    items = tuple(_line_item(line, currency) for line in lines)
    tax = thing.minor_units(currency, "tax")
    taxes = [part.minor_units(currency, "amount") for part in thing.items("total_taxes")]
    status = thing.text("status") or ""
    totals = ("amount_paid",) if status == "paid" else ("amount_due", "total")
    return Payment(
        id=thing.identifier("id"),
        status=_INVOICE_STATUSES.get(status) or thing.text("status"),
        customer_id=thing.identifier("customer"),
        membership_id=_subscription_id(thing),
        total=thing.minor_units(currency, *totals),
        subtotal=thing.minor_units(currency, "subtotal"),
        tax_total=_sum(taxes) if tax is None else tax,
        currency=_capitals(currency),
        product_names=", ".join([item.title for item in items if item.title]) or None,
        line_items=items,
        gateway=_GATEWAY,
        gateway_payment_id=thing.identifier("payment_intent", "charge"),
        created_at=thing.unix_time("created"),
        reference_code=thing.text("number"),
    )


def _subscription_id(thing: VendorObject) -> str | None:
    return thing.identifier("subscription") or thing.at(
        "parent", "subscription_details"
    ).identifier("subscription")


def _invoiced_membership(thing: VendorObject) -> Membership | None:
    """As much of the subscription as its invoice says."""
    subscription_id = _subscription_id(thing)
    if subscription_id is None:
        return None
    currency = thing.text("currency")
    lines = [line for line in thing.at("lines").items("data") if _is_of_subscription(line)]
    ends = [end for line in lines if (end := line.at("period").unix_time("end"))]
    return Membership(
        id=subscription_id,
        customer_id=thing.identifier("customer"),
        plan=_plan(lines[-1], currency) if lines else None,
        currency=_capitals(currency),
        gateway=_GATEWAY,
        gateway_subscription_id=subscription_id,
        expires_at=max(ends, default=None),
    )


def _is_of_subscription(line: VendorObject) -> bool:
    return (line.at("parent").text("type") or line.text("type")) in {
        "subscription",
        "subscription_item_details",
    }


def _line_item(line: VendorObject, currency: str | None) -> LineItem:
    plan = _plan(line, currency)
    quantity = line.count("quantity")
    return LineItem(
        title=line.text("description") or (plan and plan.name) or "",
        quantity=1 if quantity is None else quantity,
        unit_price=plan.price if plan else None,
        total=line.minor_units(currency, "amount"),
        product_id=plan.id if plan else None,
    )


def _charge(thing: VendorObject) -> Payment:
    currency = thing.text("currency")
    total = thing.minor_units(currency, "amount")
    refunded = thing.minor_units(currency, "amount_refunded")
    status = _CHARGE_STATUSES.get(thing.text("status") or "")
    if thing.is_true("refunded"):
        status = "refunded"
    elif refunded:
        status = "partially-refunded"
    return Payment(
        # The invoice's id where there is one: it is the payment that `invoice.paid` announced.
        id=thing.identifier("invoice", "payment_intent", "id"),
        status=status,
        customer_id=thing.identifier("customer"),
        total=total,
        refund_total=refunded or None,
        currency=_capitals(currency),
        product_names=thing.text("description"),
        gateway=_GATEWAY,
        gateway_payment_id=thing.identifier("payment_intent", "id"),
        created_at=thing.unix_time("created"),
    )


def _capitals(currency: str | None) -> str | None:
    return currency.upper() if currency else None


def _sum(amounts: Sequence[Decimal | None]) -> Decimal | None:
    """The sum, None when there is nothing to add or one of them is not known."""
    known = [amount for amount in amounts if amount is not None]
    return sum(known, Decimal(0)) if known and len(known) == len(amounts) else None
