"""JSON Schemas (2020-12) of what senders put into an event, for the documentation.

They describe; they do not decide: nothing is validated against them on the way in.
They are as permissive as the platform is loose: ids are numbers or strings, amounts numbers or
decimal strings, everything may be null, and further members are always allowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

Schema = dict[str, Any]

#: Types of a member, by the one word the tables below use.
_TYPES: Mapping[str, Any] = {
    "id": ["integer", "string", "null"],
    "amount": ["number", "string", "null"],
    "text": ["string", "null"],
    "time": ["string", "null"],
    "flag": ["boolean", "string", "integer", "null"],
    "count": ["integer", "string", "null"],
    "list": ["array", "object", "null"],
    "object": ["object", "null"],
    "lines": ["string", "object", "array", "null"],
}

_Table = tuple[tuple[str, str, str], ...]

_TIME = "zone-less times are UTC"

#: The flat members of each group, as the platform's own webhooks name them, and those that a
#: composed body may add.
_FLAT: Mapping[str, _Table] = {
    "customer": (
        ("customer_id", "id", "Id of the customer; 0 from the test button"),
        ("customer_name", "text", "Display name"),
        ("customer_user_id", "id", "Id of the WordPress user"),
        ("customer_user_email", "text", "E-mail address"),
        ("customer_email_verification", "text", "none, pending or verified"),
        ("customer_avatar", "text", "A piece of HTML; kept, never read"),
        ("customer_billing_address", "text", "Address lines without labels"),
        ("customer_manage_url", "text", "The customer's page in the network admin"),
        ("customer_date_registered", "time", f"Signup date ({_TIME}); built-in webhooks have none"),
        ("customer_first_name", "text", "First name; else derived from the display name"),
        ("customer_last_name", "text", "Last name; else derived from the display name"),
        ("customer_phone", "text", "Telephone number"),
        ("company_name", "text", "Company of the billing address"),
        ("billing_country", "text", "Country of the billing address (ISO 3166, two letters)"),
    ),
    "membership": (
        ("membership_id", "id", "Id of the membership"),
        ("membership_status", "text", "pending, active, trialing, expired, on-hold or cancelled"),
        ("membership_reference_code", "text", "Code shown to the customer; no stable key"),
        ("membership_initial_amount", "text", "First amount, formatted; never read"),
        ("membership_initial_amount_raw", "amount", "First amount in major units"),
        ("membership_amount", "text", "Recurring amount, formatted; never read"),
        ("membership_amount_raw", "amount", "Recurring amount in major units"),
        ("membership_currency", "text", "Currency (ISO 4217)"),
        ("membership_description", "text", "Price in words"),
        ("membership_gateway", "text", "Gateway, empty after a cancellation"),
        ("membership_date_expiration", "time", f"End of what is paid ({_TIME}); null for ever"),
        ("membership_manage_url", "text", "The membership's page in the network admin"),
        ("membership_previous_status", "text", "Status before this event"),
        ("membership_date_created", "time", f"When it began ({_TIME})"),
        ("membership_date_cancellation", "time", f"When it was cancelled ({_TIME})"),
        ("membership_cancellation_reason", "text", "Why it was cancelled"),
        ("membership_plan_id", "id", "Id of the plan; built-in webhooks say nothing of the plan"),
        ("membership_plan_slug", "text", "Slug of the plan"),
        ("membership_plan_name", "text", "Name of the plan"),
        ("membership_plan_amount_raw", "amount", "Price of the plan in major units"),
    ),
    "payment": (
        ("payment_id", "id", "Id of the payment"),
        ("payment_status", "text", "pending, completed, refunded, failed and others"),
        ("payment_reference_code", "text", "Code shown to the customer; no stable key"),
        ("payment_subtotal", "text", "Formatted; never read"),
        ("payment_subtotal_raw", "amount", "Amount before tax in major units"),
        ("payment_tax_total", "text", "Formatted; never read"),
        ("payment_tax_total_raw", "amount", "Tax in major units"),
        ("payment_total", "text", "Formatted; never read"),
        ("payment_total_raw", "amount", "Amount paid in major units"),
        ("payment_currency", "text", "Currency (ISO 4217)"),
        ("payment_product_names", "text", "Titles of the lines, joined by commas"),
        ("payment_date_created", "time", f"When it was made ({_TIME})"),
        ("payment_gateway", "text", "Gateway"),
        ("payment_invoice_url", "text", "Opens the invoice for whoever has it: a secret"),
        ("payment_manage_url", "text", "The payment's page in the network admin"),
        ("payment_previous_status", "text", "Status before this event"),
        ("payment_refund_total_raw", "amount", "Refunded amount in major units"),
        ("payment_gateway_payment_id", "text", "The gateway's own id of the payment"),
        ("payment_line_items", "list", "Lines: title, quantity, unit_price, total, type"),
    ),
    "site": (
        ("site_id", "id", "Id of the site (WordPress calls it blog id)"),
        ("site_title", "text", "Title"),
        ("site_description", "text", "Tagline"),
        ("site_url", "text", "Address"),
        ("site_admin_url", "text", "Address of its dashboard"),
        ("site_manage_url", "text", "The site's page in the network admin"),
    ),
    "domain": (
        ("domain_id", "id", "Id of the mapping"),
        ("domain_domain", "text", "The domain name"),
        ("domain_site_id", "id", "Id of the site it leads to"),
        ("domain_stage", "text", "checking-dns, checking-ssl-cert, done, done-without-ssl…"),
        ("domain_active", "flag", '"true" or "false"'),
        ("domain_primary", "flag", '"true" or "false"'),
        ("domain_secure", "flag", '"true" or "false"'),
        ("domain_date_created", "time", f"When it was mapped ({_TIME})"),
        ("domain_manage_url", "text", "The mapping's page in the network admin"),
    ),
}

#: The members of the bridge's objects: the relay's own names.
_PLAN: _Table = (
    ("id", "id", "Id of the plan"),
    ("slug", "text", "Slug"),
    ("name", "text", "Name"),
    ("price", "amount", "Price in major units"),
)
_OBJECTS: Mapping[str, _Table] = {
    "customer": (
        ("id", "id", "Id of the customer"),
        ("user_id", "id", "Id of the WordPress user"),
        ("email", "text", "E-mail address"),
        ("name", "text", "Display name"),
        ("first_name", "text", "First name; else derived from name"),
        ("last_name", "text", "Last name; else derived from name"),
        ("signup_date", "time", "When the account was made"),
        ("email_verification", "text", "none, pending or verified"),
        ("phone", "text", "Telephone number"),
        ("company", "text", "Company"),
        ("country", "text", "Country (ISO 3166, two letters)"),
        ("billing_address", "lines", "Address lines, or the object of labelled lines"),
        ("manage_url", "text", "The customer's page in the network admin"),
    ),
    "membership": (
        ("id", "id", "Id of the membership"),
        ("status", "text", "pending, active, trialing, expired, on-hold or cancelled"),
        ("previous_status", "text", "Status before this event"),
        ("customer_id", "id", "Id of its customer"),
        ("plan", "object", "id, slug, name, price"),
        ("previous_plan", "object", "The plan before this event: id, slug, name, price"),
        ("amount", "amount", "Recurring amount in major units"),
        ("initial_amount", "amount", "First amount in major units"),
        ("currency", "text", "Currency (ISO 4217)"),
        ("description", "text", "Price in words"),
        ("gateway", "text", "Gateway"),
        ("gateway_subscription_id", "text", "The gateway's own id of the subscription"),
        ("created_at", "time", "When it began"),
        ("expires_at", "time", "End of what is paid; null for ever"),
        ("cancelled_at", "time", "When it was cancelled"),
        ("cancellation_reason", "text", "Why it was cancelled"),
        ("auto_renew", "flag", "Whether it renews by itself"),
        ("times_billed", "count", "How often it was billed"),
        ("reference_code", "text", "Code shown to the customer"),
        ("manage_url", "text", "The membership's page in the network admin"),
    ),
    "payment": (
        ("id", "id", "Id of the payment: the transaction id of a purchase"),
        ("status", "text", "pending, completed, refunded, failed and others"),
        ("previous_status", "text", "Status before this event"),
        ("customer_id", "id", "Id of its customer"),
        ("membership_id", "id", "Id of its membership"),
        ("total", "amount", "Amount paid in major units"),
        ("subtotal", "amount", "Amount before tax"),
        ("tax_total", "amount", "Tax"),
        ("refund_total", "amount", "Refunded amount, with the platform's sign"),
        ("currency", "text", "Currency (ISO 4217)"),
        ("product_names", "text", "Titles of the lines; else joined from line_items"),
        ("line_items", "list", "Lines: title, quantity, unit_price, total, kind, product_id"),
        ("gateway", "text", "Gateway"),
        ("gateway_payment_id", "text", "The gateway's own id of the payment"),
        ("created_at", "time", "When it was made"),
        ("reference_code", "text", "Code shown to the customer"),
        ("manage_url", "text", "The payment's page in the network admin"),
    ),
    "site": (
        ("id", "id", "Id of the site (WordPress calls it blog id)"),
        ("title", "text", "Title"),
        ("description", "text", "Tagline"),
        ("url", "text", "Address"),
        ("admin_url", "text", "Address of its dashboard"),
        ("customer_id", "id", "Id of its customer"),
        ("membership_id", "id", "Id of its membership"),
    ),
    "domain": (
        ("id", "id", "Id of the mapping"),
        ("name", "text", "The domain name"),
        ("site_id", "id", "Id of the site it leads to"),
        ("stage", "text", "checking-dns, checking-ssl-cert, done, done-without-ssl…"),
        ("active", "flag", "Whether it is in use"),
        ("primary", "flag", "Whether it is the site's main address"),
        ("secure", "flag", "Whether it has a certificate"),
        ("created_at", "time", "When it was mapped"),
    ),
}


def _members(table: Iterable[tuple[str, str, str]]) -> dict[str, Schema]:
    return {name: {"type": _TYPES[kind], "description": text} for name, kind, text in table}


def _object(members: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "properties": dict(members), "additionalProperties": True}


def flat_body(groups: Iterable[str], extras: _Table = ()) -> Schema:
    """The flat body that holds these groups, and further members (name, kind, description)."""
    members: dict[str, Schema] = _members(extras)
    for group in groups:
        members |= _members(_FLAT[group])
    members["wu_version"] = {"type": ["string", "null"], "description": "Version of the plug-in"}
    return _object(members)


def object_body(groups: Iterable[str], extras: _Table = ()) -> Schema:
    """The body that holds each group as an object of its own."""
    members = {group: object_group(group) for group in groups}
    return _object(members | _members(extras))


def object_group(group: str) -> Schema:
    """One of the bridge's objects, by the relay's own names."""
    members = _members(_OBJECTS[group])
    for name in ("plan", "previous_plan"):
        if name in members:
            members[name] |= {"properties": _members(_PLAN), "additionalProperties": True}
    return _object(members) | {"type": ["object", "null"]}


def object_names(group: str) -> tuple[str, ...]:
    """The names of the members of one of the bridge's objects, in order."""
    return tuple(name for name, _, _ in _OBJECTS[group])


def envelope() -> Schema:
    """The bridge envelope (docs/bridge-envelope.md)."""
    members = _members(
        (
            ("occurred_at", "time", "When it happened (RFC 3339)"),
            ("source", "object", "Where it happened: network_url, network_id and versions"),
            ("context", "object", "consent, and what it allows: ga_client_id, fbp, user_agent…"),
            ("test", "flag", "True for an event that is only a test"),
        ),
    )
    members["spec"] = {"type": ["string", "null"], "enum": ["lifecycle-relay/1", None]}
    members["id"] = {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,255}$"}
    members["type"] = {"type": "string", "pattern": "^[a-z][a-z0-9_.-]{0,63}$"}
    members["data"] = object_body(_OBJECTS)
    return _object(members) | {"required": ["id", "type", "data"]}
