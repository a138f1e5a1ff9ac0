"""GitHub: webhooks of a repository, an organisation or an app.

`X-Hub-Signature-256: sha256=<lower-case hex>`, HMAC-SHA256 over the body with the secret as it is
written; the older `X-Hub-Signature` (SHA-1) is no credential here
(docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries).
What happened stands in the header `X-GitHub-Event` and the body's `action`, the id in
`X-GitHub-Delivery`, which a redelivery keeps.
The webhook's content type must be `application/json`; GitHub's default is a form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from app.domain.errors import FieldError, InvalidRequest
from app.domain.model import RawRequest, Reading
from app.sources.base import SecretForm, SourceAdapter
from app.sources.fields import invalid
from app.sources.foreign_types import prefixed_type
from app.sources.hmac_signatures import is_any_right, only_header, text_key
from app.sources.lifecycle import object_body
from app.sources.locations import Location
from app.sources.loose_values import dedupe_id_from
from app.sources.vendor_object import VendorObject

_SIGNATURE_HEADER = "x-hub-signature-256"
_SIGNATURE_PREFIX = "sha256="
_EVENT_HEADER = "x-github-event"
_DELIVERY_HEADER = "x-github-delivery"
_DELIVERY = Location(header=_DELIVERY_HEADER)


class GitHub(SourceAdapter):
    """Reads GitHub's webhooks."""

    kind: ClassVar[str] = "github"
    summary: ClassVar[str] = (
        "GitHub webhooks: signed with SHA-256; the event and its action become"
        " github_<event>_<action>."
    )
    takes_token: ClassVar[bool] = False
    takes_signature: ClassVar[bool] = False
    secret_form: ClassVar[SecretForm | None] = SecretForm.TEXT
    kept_headers: tuple[str, ...] = (_EVENT_HEADER, _DELIVERY_HEADER)

    def signing_key(self, secret: str) -> bytes:
        """The secret's own characters."""
        return text_key(secret)

    def is_signed(self, request: RawRequest, keys: Sequence[bytes], now: int) -> bool:
        """Whether the signature is right; GitHub signs no time."""
        header = only_header(request, _SIGNATURE_HEADER) or ""
        if not header.startswith(_SIGNATURE_PREFIX):
            return False
        return is_any_right([header.removeprefix(_SIGNATURE_PREFIX)], request.body, keys)

    def read(self, request: RawRequest, document: Any) -> Reading:
        """Say what a webhook of GitHub is; the whole body is the event's data.

        Raises:
            InvalidPayload: the body is not an object, or the delivery's id cannot be one.
            InvalidRequest: the header that names the event is missing.
        """
        body = object_body(document)
        name = request.headers.get(_EVENT_HEADER, "").strip()
        if not name:
            raise InvalidRequest(
                "The request has no header X-GitHub-Event; this source is for GitHub's webhooks.",
            )
        errors: list[FieldError] = []
        dedupe_id = _DELIVERY.read(request, body, dedupe_id_from, errors)
        if errors:
            raise invalid(errors)
        action = body.get("action")
        return Reading(
            type=prefixed_type("github_", f"{name}_{action}" if isinstance(action, str) else name),
            data=body,
            dedupe_id=dedupe_id,
            test=name == "ping",
            subject=_subject(VendorObject(body)),
        )


def _subject(body: VendorObject) -> str | None:
    """The repository, else the organisation: what happens there keeps its order."""
    for name in ("repository", "organization"):
        thing_id = body.at(name).identifier("id")
        if thing_id:
            return f"{name}/{thing_id}"
    return None
