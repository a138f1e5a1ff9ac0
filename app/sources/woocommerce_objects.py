"""Customers, memberships and payments in the objects of WooCommerce's REST API (`wc/v3`).

Amounts are texts in major units, times with the ending `_gmt` are in UTC without saying so.
An order is a payment, whatever it stands at; a subscription (of the extension WooCommerce
Subscriptions) is a membership and has an order's members besides its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from app.domain.model import Customer, LineItem, Membership, Payment, Plan
from app.sources.groups import Groups
from app.sources.object_groups import MOST_LINE_ITEMS, build_customer
from app.sources.vendor_object import VendorObject

#: An order's status to the platform's spelling; a paid order is `processing` until it is shipped.
PAYMENT_STATUSES: Mapping[str, str] = {
    "pending": "pending",
    "on-hold": "pending",
    "checkout-draft": "draft",
    "processing": "completed",
    "completed": "completed",
    "refunded": "refunded",
    "failed": "failed",
    "cancelled": "cancelled",
}
#: A subscription's status to the platform's spelling; a cancelled one runs until it was paid for.
MEMBERSHIP_STATUSES: Mapping[str, str] = {
    "pending": "pending",
    "active": "active",
    "pending-cancel": "active",
    "on-hold": "on-hold",
    "expired": "expired",
    "cancelled": "cancelled",
}


def groups_of(resource: str, thing: VendorObject) -> Groups:
    """The groups in a body about a `resource` (`order`, `customer`, `subscription`)."""
    match resource:
        case "order":
            return Groups(customer=_buyer(thing), payment=_payment(thing))
        case "subscription":
            return Groups(customer=_buyer(thing), membership=_membership(thing))
        case "customer":
            return Groups(customer=_customer(thing))
        case _:
            return Groups()


def _customer(thing: VendorObject) -> Customer:
    found = {
        "id": thing.identifier("id"),
        "user_id": thing.identifier("id"),
        "email": thing.email("email"),
        "signup_date": thing.moment("date_created_gmt"),
        **_names(thing),
    }
    return _with_address(found, thing.at("billing"))


def _buyer(thing: VendorObject) -> Customer | None:
    """Whom an order is for; a guest has an address and no account."""
    billing = thing.at("billing")
    customer_id = thing.identifier("customer_id")
    email = billing.email("email")
    if customer_id is None and email is None:
        return None
    found = {"id": customer_id, "user_id": customer_id, "email": email, **_names(billing)}
    return _with_address(found, billing)


def _names(members: VendorObject) -> dict[str, str | None]:
    first, last = members.text("first_name"), members.text("last_name")
    return {
        "first_name": first,
        "last_name": last,
        "name": " ".join(filter(None, (first, last))) or None,
    }


def _with_address(found: Mapping[str, object], billing: VendorObject) -> Customer:
    address = {name: billing.text(name) for name in ("phone", "company", "country")}
    return build_customer({**found, **address})


def _payment(thing: VendorObject) -> Payment:
    items = _line_items(thing)
    status = thing.text("status")
    return Payment(
        id=thing.identifier("id"),
        status=PAYMENT_STATUSES.get(status or "", status),
        customer_id=thing.identifier("customer_id"),
        total=thing.amount("total"),
        tax_total=thing.amount("total_tax"),
        refund_total=_refunded(thing),
        currency=thing.text("currency"),
        product_names=", ".join([item.title for item in items if item.title]) or None,
        line_items=items,
        gateway=thing.text("payment_method"),
        gateway_payment_id=thing.text("transaction_id"),
        created_at=thing.moment("date_created_gmt"),
        reference_code=thing.text("number"),
    )


def _refunded(thing: VendorObject) -> Decimal | None:
    """What went back so far; each refund's total is below zero."""
    totals = [refund.amount("total") for refund in thing.items("refunds")]
    return sum((abs(total) for total in totals if total is not None), Decimal(0)) or None


def _membership(thing: VendorObject) -> Membership:
    status = thing.text("status")
    items = _line_items(thing)
    return Membership(
        id=thing.identifier("id"),
        status=MEMBERSHIP_STATUSES.get(status or "", status),
        customer_id=thing.identifier("customer_id"),
        plan=Plan(id=items[0].product_id, name=items[0].title or None, price=items[0].unit_price)
        if items
        else None,
        amount=thing.amount("total"),
        currency=thing.text("currency"),
        gateway=thing.text("payment_method"),
        created_at=thing.moment("start_date_gmt", "date_created_gmt"),
        expires_at=thing.moment("end_date_gmt", "next_payment_date_gmt"),
        cancelled_at=thing.moment("cancelled_date_gmt"),
        auto_renew=False if status == "pending-cancel" else None,
    )


def _line_items(thing: VendorObject) -> tuple[LineItem, ...]:
    return tuple(_line_item(line) for line in thing.items("line_items")[:MOST_LINE_ITEMS])


def _line_item(line: VendorObject) -> LineItem:
    quantity = line.count("quantity")
    return LineItem(
        title=line.text("name") or "",
        quantity=1 if quantity is None else quantity,
        unit_price=line.amount("price"),
        total=line.amount("total"),
        product_id=line.identifier("product_id"),
    )
