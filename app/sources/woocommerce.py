"""WooCommerce: the webhooks of a shop (WooCommerce > Settings > Advanced > Webhooks).

`X-WC-Webhook-Signature` is base64 of HMAC-SHA256 over the body with the webhook's secret, the
topic (`order.updated`) stands in `X-WC-Webhook-Topic`, and the body is the object as the REST API
(`wc/v3`) shows it; of a deleted one it has the id only.
Read in class-wc-webhook.php of WooCommerce 10:
the delivery id is a hash of the webhook's id and the second, so two orders of one second share
it, and the body has to tell them apart;
an order says how it stands, not what changed, so the same news can come several times;
before its first delivery a webhook sends an unsigned form that must be answered with 200.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from app.domain.errors import FieldError, InvalidRequest
from app.domain.model import RawRequest, Reading
from app.sources.base import SecretForm, SourceAdapter
from app.sources.fields import invalid
from app.sources.foreign_types import prefixed_type
from app.sources.groups import subject_of
from app.sources.hmac_signatures import is_any_right, only_header, text_key
from app.sources.lifecycle import object_body
from app.sources.locations import Location
from app.sources.loose_values import dedupe_id_from
from app.sources.vendor_object import VendorObject
from app.sources.woocommerce_objects import MEMBERSHIP_STATUSES, PAYMENT_STATUSES, groups_of

_SIGNATURE_HEADER = "x-wc-webhook-signature"
_TOPIC_HEADER = "x-wc-webhook-topic"
_DELIVERY_HEADER = "x-wc-webhook-delivery-id"
_DELIVERY = Location(header=_DELIVERY_HEADER)
_GREETING = re.compile(rb"webhook_id=[0-9]{1,20}")
_LONGEST_TOPIC = 100

_TYPES: Mapping[str, str] = {
    "customer.created": "customer_post_create",
    "customer.updated": "customer_post_update",
    "customer.deleted": "customer_post_delete",
    "subscription.created": "membership_post_create",
    "subscription.switched": "membership_plan_changed",
    "subscription.deleted": "membership_post_delete",
}
#: What an order that stands like this has to tell.
_ORDER_TYPES: Mapping[str, str] = {
    "completed": "payment_received",
    "refunded": "payment_status_to_refunded",
    "failed": "payment_status_to_failed",
    "cancelled": "payment_status_to_cancelled",
}
#: The ends of a subscription; every other change of one is just that.
_SUBSCRIPTION_TYPES: Mapping[str, str] = {
    "cancelled": "membership_status_to_cancelled",
    "expired": "membership_status_to_expired",
}


class WooCommerce(SourceAdapter):
    """Reads the webhooks of a WooCommerce shop."""

    kind: ClassVar[str] = "woocommerce"
    summary: ClassVar[str] = (
        "A WooCommerce shop: signed webhooks; orders, customers and subscriptions become events"
        " of the catalogue."
    )
    takes_token: ClassVar[bool] = False
    takes_signature: ClassVar[bool] = False
    secret_form: ClassVar[SecretForm | None] = SecretForm.TEXT
    kept_headers: tuple[str, ...] = (_TOPIC_HEADER, _DELIVERY_HEADER)

    def signing_key(self, secret: str) -> bytes:
        """The secret's own characters."""
        return text_key(secret)

    def is_signed(self, request: RawRequest, keys: Sequence[bytes], now: int) -> bool:
        """Whether the signature is right; WooCommerce signs no time."""
        header = only_header(request, _SIGNATURE_HEADER)
        return header is not None and is_any_right([header], request.body, keys, encoding="base64")

    def greets(self, request: RawRequest) -> bool:
        """True for the form that a webhook sends when it is saved; it says its number only."""
        return _GREETING.fullmatch(request.body) is not None

    def read(self, request: RawRequest, document: Any) -> Reading:
        """Say what a webhook of the shop is; the whole body is the event's data.

        Raises:
            InvalidPayload: the body is not an object, or the delivery's id cannot be one.
            InvalidRequest: the header that names the topic is missing.
        """
        body = object_body(document)
        topic = request.headers.get(_TOPIC_HEADER, "").strip().lower()[:_LONGEST_TOPIC]
        if not topic:
            raise InvalidRequest(
                "The request has no header X-WC-Webhook-Topic; this source is for WooCommerce.",
            )
        errors: list[FieldError] = []
        delivery = _DELIVERY.read(request, body, dedupe_id_from, errors)
        if errors:
            raise invalid(errors)
        thing = VendorObject(body)
        groups = groups_of(topic.partition(".")[0], thing)
        return Reading(
            type=_type_of(topic, thing),
            data=body,
            dedupe_id=_dedupe_id(delivery, request.body),
            occurred_at=thing.moment("date_modified_gmt", "date_created_gmt"),
            subject=subject_of(groups),
            customer=groups.customer,
            membership=groups.membership,
            payment=groups.payment,
        )


def _type_of(topic: str, thing: VendorObject) -> str:
    status = thing.text("status") or ""
    found = _TYPES.get(topic)
    if topic in {"order.created", "order.updated"}:
        found = _ORDER_TYPES.get(PAYMENT_STATUSES.get(status, ""))
        if found is None and topic == "order.created":
            found = "payment_post_create"
    elif topic == "subscription.updated":
        ended = _SUBSCRIPTION_TYPES.get(MEMBERSHIP_STATUSES.get(status, ""))
        found = ended or "membership_post_update"
    return found or prefixed_type("woocommerce.", topic)


def _dedupe_id(delivery: str | None, body: bytes) -> str | None:
    if delivery is None:
        return None
    return f"{delivery[:128]}.{hashlib.sha256(body).hexdigest()[:32]}"
