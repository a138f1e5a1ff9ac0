"""Stripe: events of an account, signed with the endpoint's secret.

`Stripe-Signature: t=<unix seconds>,v1=<hex>[,v1=<hex>]`, HMAC-SHA256 over `t.body` with the
secret (`whsec_…`) as it is written; several `v1` stand side by side while a secret is rolled, and
`v0` is for test clocks and says nothing (docs.stripe.com/webhooks/signature).
The id of an event is kept over all of Stripe's attempts to deliver it.
What the catalogue has a name for gets that name; everything else is called `stripe.<its type>`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from app.domain.errors import FieldError
from app.domain.model import RawRequest, Reading
from app.sources.base import SecretForm, SourceAdapter
from app.sources.fields import Place, invalid
from app.sources.foreign_types import prefixed_type
from app.sources.groups import subject_of
from app.sources.hmac_signatures import is_any_right, only_header, text_key
from app.sources.lifecycle import object_body
from app.sources.loose_values import dedupe_id_from
from app.sources.stripe_objects import MEMBERSHIP_STATUSES, groups_of
from app.sources.vendor_object import VendorObject

_SIGNATURE_HEADER = "stripe-signature"
#: How far a timestamp may be off, in seconds, either way; what Stripe's own libraries allow.
_TOLERANCE = 300
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
_MOST_PARTS = 64

_TYPES: Mapping[str, str] = {
    "customer.created": "customer_post_create",
    "customer.updated": "customer_post_update",
    "customer.deleted": "customer_post_delete",
    "customer.subscription.created": "membership_post_create",
    "customer.subscription.deleted": "membership_status_to_cancelled",
    "invoice.paid": "payment_received",
    "invoice.payment_failed": "payment_failed",
}


class Stripe(SourceAdapter):
    """Reads the events of a Stripe account."""

    kind: ClassVar[str] = "stripe"
    summary: ClassVar[str] = (
        "A Stripe account: signed events; invoices, refunds, subscriptions and customers become"
        " events of the catalogue."
    )
    takes_token: ClassVar[bool] = False
    takes_signature: ClassVar[bool] = False
    secret_form: ClassVar[SecretForm | None] = SecretForm.VENDOR
    kept_headers: tuple[str, ...] = ()

    def signing_key(self, secret: str) -> bytes:
        """The secret's own characters: Stripe does not decode what stands behind `whsec_`."""
        return text_key(secret)

    def is_signed(self, request: RawRequest, keys: Sequence[bytes], now: int) -> bool:
        """Whether one `v1` is right, and the timestamp not more than five minutes off."""
        header = only_header(request, _SIGNATURE_HEADER)
        if header is None:
            return False
        parts = [part.partition("=") for part in header.split(",", _MOST_PARTS)[:_MOST_PARTS]]
        timestamps = [value for name, _, value in parts if name.strip() == "t"]
        if len(timestamps) != 1 or _TIMESTAMP.fullmatch(timestamps[0]) is None:
            return False
        if abs(now - int(timestamps[0])) > _TOLERANCE:
            return False
        signatures = [value for name, _, value in parts if name.strip() == "v1"]
        return is_any_right(signatures, timestamps[0].encode() + b"." + request.body, keys)

    def read(self, request: RawRequest, document: Any) -> Reading:
        """Say what a Stripe event is; what stands under its `data` is the event's data.

        Raises:
            InvalidPayload: it is not a Stripe event.
        """
        body = object_body(document)
        errors: list[FieldError] = []
        place = Place("#", errors)
        dedupe_id = place.read(body, "id", dedupe_id_from)
        name = body.get("type")
        if not isinstance(name, str) or not name.strip():
            place.refuse("type", "must be the type of a Stripe event, such as invoice.paid")
        elif dedupe_id is None and not errors:
            place.refuse("id", "must be the id of a Stripe event (evt_…)")
        if errors:
            raise invalid(errors)
        event = VendorObject(body)
        thing, before = event.at("data", "object"), event.at("data", "previous_attributes")
        groups = groups_of(thing, before)
        if name == "invoice.payment_failed" and groups.payment is not None:
            # The invoice itself stays open, since Stripe tries again.
            groups = replace(groups, payment=replace(groups.payment, status="failed"))
        return Reading(
            type=_type_of(str(name), thing, before),
            # An event of the second generation names its object, and has no data.
            data=event.at("data").members or body,
            dedupe_id=dedupe_id,
            occurred_at=event.unix_time("created") or event.moment("created"),
            test=body.get("livemode") is False,
            subject=subject_of(groups),
            customer=groups.customer,
            membership=groups.membership,
            payment=groups.payment,
        )


def _type_of(name: str, thing: VendorObject, before: VendorObject) -> str:
    if name == "charge.refunded":
        # Stripe says so of a part as well; `refunded` is true once nothing is left.
        whole = thing.is_true("refunded")
        return "payment_status_to_refunded" if whole else "payment_status_to_partially-refunded"
    if name == "customer.subscription.updated":
        status = MEMBERSHIP_STATUSES.get(thing.text("status") or "")
        moved = "status" in before.members and status is not None
        return f"membership_status_to_{status}" if moved else "membership_post_update"
    return _TYPES.get(name) or prefixed_type("stripe.", name)
