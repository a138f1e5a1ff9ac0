"""Real examples of every event type: bodies as senders put them on the wire.

`catalogue_examples.json` holds
- `bodies`: requests captured from the real plug-in, and the test button's samples, unchanged;
- `parts`: the flat members of one invented customer, her membership, payment, site and domain,
  from the same capture, with the members a composed body may add (plan, signup date);
- `objects`: the same five as the bridge sends them;
- `relay`: the data of the relay's own news.

What no built-in webhook sends is composed of the parts (flat) or of the objects (envelope), with
the changes below, so that both describe the same thing.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from app.domain import strict_json

_Changes = Mapping[str, Mapping[str, Any]]

#: Namespace of the example envelopes' ids: the same type always has the same id.
_NAMESPACE = uuid.UUID("6d0f2f0e-6a3f-5f0e-9a55-0d3c1f7f5a10")
_OCCURRED_AT = "2026-11-23T19:17:43Z"
_VERSION = "2.4.13-beta.1"

_ENDED: _Changes = {
    "membership": {
        "status": "cancelled",
        "previous_status": "active",
        "cancelled_at": "2026-11-23T19:17:43Z",
        "cancellation_reason": "too_expensive",
        "auto_renew": False,
    },
}
_OLD_PLAN = {"id": "1", "slug": "starter", "name": "Starter", "price": "19.99"}

#: What differs from the objects, by event type, in the relay's own names.
_CHANGES: Mapping[str, _Changes] = {
    "customer_post_update": {"customer": {"email_verification": "verified"}},
    "membership_post_create": {"membership": {"status": "pending"}},
    "membership_post_delete": _ENDED,
    "membership_status_to_pending": {
        "membership": {"status": "pending", "previous_status": "on-hold"}
    },
    "membership_status_to_active": {
        "membership": {"status": "active", "previous_status": "pending"}
    },
    "membership_status_to_trialing": {
        "membership": {"status": "trialing", "previous_status": "pending"},
    },
    "membership_status_to_expired": {
        "membership": {"status": "expired", "previous_status": "on-hold"},
    },
    "membership_status_to_on-hold": {
        "membership": {"status": "on-hold", "previous_status": "active"},
    },
    "membership_status_to_cancelled": _ENDED,
    "membership_renewed": {"membership": {"times_billed": 2, "expires_at": "2027-01-23T23:59:59Z"}},
    "membership_plan_changed": {"membership": {"previous_plan": _OLD_PLAN}},
    "membership_expired": {"membership": {"status": "expired"}},
    "payment_post_create": {"payment": {"status": "pending", "gateway_payment_id": None}},
    "payment_status_to_pending": {"payment": {"status": "pending", "previous_status": "draft"}},
    "payment_status_to_completed": {
        "payment": {"status": "completed", "previous_status": "pending"},
    },
    "payment_status_to_refunded": {
        "payment": {
            "status": "refunded",
            "previous_status": "completed",
            "total": "0.00",
            "refund_total": "-59.99",
        },
    },
    "payment_status_to_partially-refunded": {
        "payment": {
            "status": "partially-refunded",
            "previous_status": "completed",
            "total": "39.99",
            "refund_total": "-20.00",
        },
    },
    "payment_status_to_partially-paid": {
        "payment": {"status": "partially-paid", "previous_status": "pending"},
    },
    "payment_status_to_failed": {"payment": {"status": "failed", "previous_status": "pending"}},
    "payment_status_to_cancelled": {
        "payment": {"status": "cancelled", "previous_status": "pending"},
    },
    "payment_status_to_draft": {"payment": {"status": "draft", "previous_status": "pending"}},
    "payment_failed": {"membership": {"status": "on-hold"}},
    "renewal_payment_created": {
        "payment": {"id": "4", "status": "pending", "total": "49.99", "subtotal": "49.99"},
        "membership": {"status": "on-hold"},
    },
    "domain_stage_to_checking-dns": {"domain": {"stage": "checking-dns"}},
    "domain_stage_to_checking-ssl-cert": {"domain": {"stage": "checking-ssl-cert"}},
    "domain_stage_to_done": {"domain": {"stage": "done", "secure": True}},
    "domain_stage_to_done-without-ssl": {"domain": {"stage": "done-without-ssl"}},
    "domain_stage_to_failed": {"domain": {"stage": "failed", "active": False}},
    "domain_stage_to_ssl-failed": {"domain": {"stage": "ssl-failed"}},
}

#: Members beside the groups, by event type, in both forms.
_EXTRAS: Mapping[str, Mapping[str, Any]] = {
    "checkout_completed": {"cart_type": "new", "gateway": "stripe", "is_free": False},
    "payment_failed": {"payment_gateway": "stripe"},
    "demo_site_expiring": {"demo_expires_at": "2026-12-31T23:59:59Z"},
    "invoice_sent": {"invoice_message": "Please pay."},
}

#: The flat names of changed members that are not group, underscore, name.
_FLAT_NAMES = {
    "created_at": "date_created",
    "expires_at": "date_expiration",
    "cancelled_at": "date_cancellation",
    "total": "total_raw",
    "subtotal": "subtotal_raw",
    "refund_total": "refund_total_raw",
}
_TIMES = ("created_at", "expires_at", "cancelled_at")


def _load() -> dict[str, Any]:
    body = resources.files("app.domain").joinpath("catalogue_examples.json").read_bytes()
    loaded: dict[str, Any] = strict_json.read_strict(body)
    return loaded


_DATA = _load()


def captured_body(name: str) -> dict[str, Any] | None:
    """The body captured from the platform, or None when it never sent one of this type."""
    found = _DATA["bodies"].get(name)
    return None if found is None else dict(found)


def relay_data(name: str) -> dict[str, Any]:
    """The data of one of the relay's own events."""
    return dict(_DATA["relay"][name])


def flat_body(name: str, groups: Sequence[str]) -> dict[str, Any]:
    """A composed body in the flat form of the built-in webhooks."""
    body: dict[str, Any] = {}
    for group in groups:
        body |= _DATA["parts"][group]
    for group, changes in _CHANGES.get(name, {}).items():
        for member, value in changes.items():
            body |= _flat_member(group, member, value)
    return body | dict(_EXTRAS.get(name, {})) | {"wu_version": _VERSION}


def _flat_member(group: str, member: str, value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return {
            f"{group}_{member}_{'amount_raw' if name == 'price' else name}": inner
            for name, inner in value.items()
        }
    if isinstance(value, bool):
        value = "true" if value else "false"
    if member in _TIMES:
        value = value.replace("T", " ").removesuffix("Z")
    flat = {f"{group}_{_FLAT_NAMES.get(member, member)}": value}
    if member in ("total", "subtotal"):
        flat[f"{group}_{member}"] = f"$ {value}"
    return flat


def envelope(name: str, groups: Sequence[str]) -> dict[str, Any]:
    """A bridge envelope about these groups."""
    changes = _CHANGES.get(name, {})
    data = dict(_EXTRAS.get(name, {}))
    for group in groups:
        data[group] = _DATA["objects"][group] | dict(changes.get(group, {}))
    return {
        "spec": "lifecycle-relay/1",
        "id": str(uuid.uuid5(_NAMESPACE, name)),
        "type": name,
        "occurred_at": _OCCURRED_AT,
        "source": {
            "network_url": "https://network.example.test/",
            "network_id": "1",
            "um_version": _VERSION,
            "wp_version": "6.1.9",
            "bridge_version": "1.0.0",
        },
        "context": {
            "consent": {"analytics": True, "marketing": False},
            "ga_client_id": "1234567890.1795461463",
            "ga_session_id": "1795461463",
            "user_agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0",
        },
        "data": data,
    }
