"""The rows of the catalogue: names, groups, summaries and extra members of every event type."""

from __future__ import annotations

from collections.abc import Mapping

# The groups that a body holds, as tuples of their names.
CUSTOMER = ("customer",)
MEMBERSHIP = ("membership", "customer")
PAYMENT = ("payment", "membership", "customer")
SITE = ("site", "membership", "customer")
DOMAIN = ("domain", "site", "membership", "customer")
ACTIVITY = ("site", "membership")

#: Name, groups, summary of what only the bridge sends (statuses and stages come on top).
BRIDGE: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("customer_post_create", CUSTOMER, "A customer was created"),
    ("customer_post_update", CUSTOMER, "A customer was changed"),
    ("customer_post_delete", CUSTOMER, "A customer was deleted"),
    ("checkout_completed", PAYMENT, "A checkout was completed: the purchase, with its plan"),
    ("membership_post_create", MEMBERSHIP, "A membership was created"),
    ("membership_post_update", MEMBERSHIP, "A membership was changed"),
    ("membership_post_delete", MEMBERSHIP, "A membership was deleted"),
    ("membership_renewed", MEMBERSHIP, "A membership was renewed"),
    ("membership_plan_changed", MEMBERSHIP, "A membership moved to another plan"),
    ("payment_post_create", PAYMENT, "A payment was created"),
    ("site_post_create", SITE, "A site was created"),
    ("site_post_delete", SITE, "A site was deleted"),
)

#: Name, first version seen, groups, summary of what the platform sends by itself.
BUILT_IN: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    (
        "membership_expired",
        "2.4.12",
        MEMBERSHIP,
        "A membership ran out (found by the platform's own schedule only)",
    ),
    (
        "payment_received",
        "2.4.10",
        PAYMENT,
        "A gateway processed a payment, whatever its status; trials and free plans have a total of 0",
    ),
    ("payment_failed", "2.4.12", MEMBERSHIP, "A recurring payment failed"),
    (
        "renewal_payment_created",
        "2.4.10",
        PAYMENT,
        "A payment is due for a membership that does not renew by itself",
    ),
    ("invoice_sent", "2.4.12", ("payment", "customer"), "An administrator sent an invoice"),
    ("site_published", "2.4.10", SITE, "A customer's site went live"),
    ("domain_created", "2.4.10", DOMAIN, "A customer mapped a domain in the customer panel"),
    ("demo_site_expiring", "2.4.13", SITE, "A demo site is about to expire"),
    (
        "confirm_email_address",
        "2.4.10",
        CUSTOMER,
        "A customer must confirm an address; carries the secret link",
    ),
)

#: Name, groups, summary of what can be chosen in the platform but is never sent live.
TEST_BUTTON: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("checkout_started", (), "A visitor opened a checkout page"),
    ("checkout_step_completed", MEMBERSHIP, "A visitor completed a step of the checkout"),
    ("checkout_failed", (), "A checkout ended with errors"),
    ("subsite_post_created", ACTIVITY, "A customer published a post"),
    ("subsite_cpt_created", ACTIVITY, "A customer made an entry of a custom post type"),
    ("subsite_user_registered", ACTIVITY, "A user was added to a customer's site"),
    ("subsite_woocommerce_order", ACTIVITY, "An order was placed on a customer's site"),
)

#: Old name, groups, current name (nothing of today's tells of every change of a payment).
ALIASES: tuple[tuple[str, tuple[str, ...], str | None], ...] = (
    ("customer_created", CUSTOMER, "customer_post_create"),
    ("customer_updated", CUSTOMER, "customer_post_update"),
    ("membership_created", MEMBERSHIP, "membership_post_create"),
    ("membership_updated", MEMBERSHIP, "membership_post_update"),
    ("payment_created", PAYMENT, "payment_post_create"),
    ("payment_updated", PAYMENT, None),
)

#: Name and summary of the relay's own news.
RELAY: tuple[tuple[str, str], ...] = (
    ("relay.target_disabled", "The relay disabled a target: gone for good, or failing for days"),
    ("relay.delivery_failed", "A delivery failed for good"),
    ("relay.contact_linked", "A CRM answered with the id of the contact it keeps for a customer"),
)

#: How the platform spells them.
MEMBERSHIP_STATUSES = ("pending", "active", "trialing", "expired", "on-hold", "cancelled")
PAYMENT_STATUSES = (
    "pending",
    "completed",
    "refunded",
    "partially-refunded",
    "partially-paid",
    "failed",
    "cancelled",
    "draft",
)
DOMAIN_STAGES = (
    "checking-dns",
    "checking-ssl-cert",
    "done",
    "done-without-ssl",
    "failed",
    "ssl-failed",
)

#: Members beside the groups: name, kind (see payload_schemas), description.
EXTRAS: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "checkout_completed": (
        ("cart_type", "text", "new, upgrade, downgrade, addon, renewal or retry"),
        ("gateway", "text", "Gateway"),
        ("is_free", "flag", "Whether nothing was to pay"),
    ),
    "checkout_step_completed": (
        ("cart_type", "text", "new, upgrade, downgrade, addon, renewal or retry"),
        ("is_free", "flag", "Whether nothing is to pay"),
    ),
    "membership_plan_changed": (
        ("membership_previous_plan_id", "id", "Id of the plan before"),
        ("membership_previous_plan_slug", "text", "Slug of the plan before"),
        ("membership_previous_plan_name", "text", "Name of the plan before"),
    ),
    "payment_failed": (("payment_gateway", "text", "Gateway that failed to charge"),),
    "renewal_payment_created": (("default_payment_url", "text", "Where to pay: a secret"),),
    "invoice_sent": (
        ("payment_url", "text", "Where to pay: a secret"),
        ("invoice_message", "text", "What the administrator wrote"),
    ),
    "confirm_email_address": (
        ("verification_link", "text", "Confirms the address for whoever has it: a secret"),
    ),
    "demo_site_expiring": (
        ("demo_expires_at", "time", "When the site goes (zone-less times are UTC)"),
        ("demo_time_remaining", "text", "The same in words"),
        ("site_url", "text", "Address of the site"),
        ("site_admin_url", "text", "Address of its dashboard"),
    ),
    "checkout_started": (
        ("form_slug", "text", "Checkout form"),
        ("user_id", "id", "Id of the WordPress user; 0 for a visitor"),
        ("ip_address", "text", "The visitor's address"),
        ("referrer", "text", "Where the visitor came from"),
    ),
    "checkout_failed": (
        ("error_codes", "list", "Codes of the errors"),
        ("error_messages", "object", "Code to message"),
        ("user_id", "id", "Id of the WordPress user; 0 for a visitor"),
    ),
    "subsite_user_registered": (
        ("new_user_id", "id", "Id of the new user"),
        ("new_user_email", "text", "Address of the new user, who is not the customer"),
        ("new_user_role", "text", "Role"),
    ),
    "subsite_woocommerce_order": (
        ("order_id", "id", "Id of the order on the customer's site"),
        ("order_total", "amount", "Total of that order; no payment to the network"),
        ("order_status", "text", "Status"),
    ),
}
#: Members of every other subsite type.
POST = (
    ("post_id", "id", "Id of the post"),
    ("post_title", "text", "Title"),
    ("post_type", "text", "Type"),
    ("post_status", "text", "Status"),
)
#: Members of the relay's own news.
NEWS = (
    ("source", "text", "Source of the event the news is about"),
    ("subject", "text", "Subject of that event, its source's name included"),
    ("event_id", "text", "Id of that event"),
    ("event_type", "text", "Type of that event"),
    ("delivery_id", "text", "Id of the delivery"),
    ("target_id", "text", "Id of the target"),
    ("target", "text", "Name of the target"),
    ("connector", "text", "Connector of the target"),
    ("external_id", "text", "The destination's id of the contact"),
    ("reason", "text", "One sentence for the operator"),
)

#: The group of a type whose name does not begin with it.
GROUPS: Mapping[str, str] = {
    "confirm_email_address": "customer",
    "renewal_payment_created": "payment",
    "invoice_sent": "payment",
    "demo_site_expiring": "site",
}
