"""An operator's mapping of a source: what the parts of an event are, as CEL expressions.

Any JSON body becomes an event of the catalogue this way: `type`, `id`, `occurred_at`, `subject`,
`test`, and the fields of the customer, the membership and the payment
(`"payment.total": "double(body.amount) / 100.0"`).
What the mapping does not name is read as without it.
An expression that only names a place (`body.buyer.email`) says nothing when there is no such
place; every other failure refuses the body, and says which expression it was.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from app.domain import coerce
from app.domain.errors import FieldError, InvalidPayload
from app.domain.expression_syntax import read_syntax
from app.domain.expression_variables import KNOWN_FIELDS
from app.domain.expressions import ExpressionError, FieldMapping, Variables, compile_mapping
from app.domain.model import Customer, Membership, Payment, Reading
from app.sources import object_groups
from app.sources.fields import MOST_ERRORS, Place
from app.sources.foreign_types import event_type_from
from app.sources.groups import Groups, subject_of
from app.sources.loose_values import dedupe_id_from, moment_from, subject_from
from app.sources.mapped_headers import headers_in

#: What an expression can speak of.
VARIABLES = ("body", "headers", "type")
_OWN_FIELDS = ("type", "id", "occurred_at", "subject", "test")
_GROUPS = ("customer", "membership", "payment")
#: Mapped as a whole: a list of objects with `title`, `quantity`, `unit_price` and so on.
_LINE_ITEMS = "payment.line_items"

_MAPPING = "mapping/"

_Group = TypeVar("_Group", Customer, Membership, Payment)


class WrongMapping(ValueError):
    """Expressions that cannot be used; `errors` maps a field to what is wrong with it."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {reason}" for field, reason in errors.items()))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Mapped:
    """What a mapping made of one request; None where it says nothing."""

    type: str | None = None
    dedupe_id: str | None = None
    occurred_at: datetime | None = None
    subject: str | None = None
    test: bool | None = None
    customer: Customer | None = None
    membership: Membership | None = None
    payment: Payment | None = None

    def over(self, reading: Reading) -> Reading:
        """The reading, with what the mapping says in front."""
        if self is NOTHING_MAPPED:
            return reading
        customer = _merged(reading.customer, self.customer)
        membership = _merged(reading.membership, self.membership)
        payment = _merged(reading.payment, self.payment)
        groups = Groups(
            customer=customer,
            membership=membership,
            payment=payment,
            site=reading.site,
            domain=reading.domain,
        )
        return replace(
            reading,
            type=self.type or reading.type,
            dedupe_id=self.dedupe_id or reading.dedupe_id,
            occurred_at=self.occurred_at or reading.occurred_at,
            subject=self.subject or subject_of(groups) or reading.subject,
            test=reading.test if self.test is None else self.test,
            customer=customer,
            membership=membership,
            payment=payment,
        )


#: What a source without a mapping has.
NOTHING_MAPPED = Mapped()


def mapping_of(settings: Mapping[str, Any]) -> SourceMapping | None:
    """The mapping in a source's settings, None without one. Raises WrongMapping."""
    expressions = settings.get("mapping")
    return SourceMapping(expressions) if expressions else None


class SourceMapping:
    """The compiled expressions of one source; `header_names` are those they speak of."""

    __slots__ = ("_expressions", "header_names")

    def __init__(self, expressions: Mapping[str, str]) -> None:
        """Compile the expressions, all of them before anything is refused.

        Raises:
            WrongMapping: names each field that cannot be mapped, or whose expression is wrong.
        """
        errors: dict[str, str] = {}
        headers: dict[str, None] = {}
        for field, text in expressions.items():
            try:
                _check_field(field)
                headers.update(dict.fromkeys(headers_in(read_syntax(field, text))))
                compile_mapping({field: text}, VARIABLES)
            except ExpressionError as error:
                errors[field] = error.reason
        if errors:
            raise WrongMapping(errors)
        self._expressions = _compiled(expressions)
        self.header_names = tuple(headers)

    def read(self, body: Any, headers: Mapping[str, str], event_type: str | None) -> Mapped:
        """What the expressions make of a request.

        Args:
            body: the JSON value they call `body`.
            headers: lower-case names; of these, they see those they name.
            event_type: what the sender calls the event, None when it says nothing.

        Raises:
            InvalidPayload: an expression fails, or its value is not what the field takes.
        """
        known = {name: headers[name] for name in self.header_names if name in headers}
        variables = Variables({"body": body, "headers": known, "type": event_type or ""})
        try:
            values = self._expressions.evaluate(variables)
        except ExpressionError as error:
            raise _unusable([FieldError("#", str(error))]) from None
        errors: list[FieldError] = []
        mapped = _mapped(_nested(values), errors)
        if errors:
            raise _unusable(errors)
        return mapped


def _compiled(expressions: Mapping[str, str]) -> FieldMapping:
    try:
        return compile_mapping(expressions, VARIABLES)
    except ExpressionError as error:
        raise WrongMapping({"": error.reason}) from None


def _check_field(name: str) -> None:
    """Refuse what is no field of an event."""
    if name in _OWN_FIELDS:
        return
    if name == _LINE_ITEMS:
        return
    group, *steps = name.split(".")
    known: Any = KNOWN_FIELDS.get(group) if group in _GROUPS else None
    for step in steps:
        known = known.get(step, ()) if isinstance(known, dict) else ()
    if known is not None or not steps or name.startswith(_LINE_ITEMS):
        raise ExpressionError(
            name,
            f"is no field of an event; there are {', '.join(_OWN_FIELDS)} and the fields of"
            f" {', '.join(_GROUPS)}, such as customer.email or membership.plan.name",
        )


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """`{"customer.email": …}` as `{"customer": {"email": …}}`."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        *outer, last = name.split(".")
        place = found
        for step in outer:
            place = place.setdefault(step, {})
        place[last] = value
    return found


def _mapped(values: Mapping[str, Any], errors: list[FieldError]) -> Mapped:
    place = Place("mapping", errors)
    return Mapped(
        type=place.read(values, "type", _type_from),
        dedupe_id=place.read(values, "id", dedupe_id_from),
        occurred_at=place.read(values, "occurred_at", moment_from),
        subject=place.read(values, "subject", subject_from),
        test=place.read(values, "test", coerce.flag),
        customer=_group(values, "customer", place, object_groups.read_customer),
        membership=_group(values, "membership", place, object_groups.read_membership),
        payment=_group(values, "payment", place, object_groups.read_payment),
    )


def _group(
    values: Mapping[str, Any],
    name: str,
    place: Place,
    read: Callable[[Mapping[str, Any], Place], _Group],
) -> _Group | None:
    members = values.get(name)
    return read(members, place.beneath(name)) if members else None


def _type_from(value: Any) -> str | None:
    if value is None:
        return None
    found = event_type_from(value) if isinstance(value, str) else None
    if found is None:
        raise coerce.ImpossibleValue("must be an event type such as payment_received")
    return found


def _merged(known: _Group | None, said: _Group | None) -> _Group | None:
    """The fields of `said` that say something, over those of `known`."""
    if known is None or said is None:
        return said or known
    changes: dict[str, Any] = {}
    for field in fields(said):
        value = getattr(said, field.name)
        if value is None or value == ():
            continue
        before = getattr(known, field.name)
        changes[field.name] = _merged(before, value) if is_dataclass(before) else value
    return replace(known, **changes)


def _unusable(errors: list[FieldError]) -> InvalidPayload:
    named = [FieldError("#", _in_words(error)) for error in errors[:MOST_ERRORS]]
    return InvalidPayload(
        f"The source's mapping cannot be used for this body: {named[0].detail}.", errors=named
    )


def _in_words(error: FieldError) -> str:
    """The error of a field, with the field's own name: `mapping/payment.total must be …`.

    What it repeats of the body, such as a key that is missing, must be text that databases take.
    """
    text = error.detail
    if error.pointer.startswith(_MAPPING):
        name = error.pointer.removeprefix(_MAPPING).replace("/", ".")
        text = f"{_MAPPING}{name} {text}"
    return text.replace("\0", "").encode(errors="replace").decode()
