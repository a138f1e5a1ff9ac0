"""A target's mapping, bound: compiled once, computed per event."""

from __future__ import annotations

import pytest

from app.connectors.mapping import bind_mapping, unusable_mapping
from app.domain.expressions import ExpressionError
from app.domain.outcome import OutcomeKind
from tests.contract.events import ADA, event


def test_a_target_without_a_mapping_has_no_values():
    assert bind_mapping(None)(event("x", customer=ADA)) is None


def test_the_values_are_those_of_the_event():
    values = bind_mapping({"who": "customer.email", "what": "type"})
    assert values(event("a", customer=ADA)) == {"who": "ada@example.com", "what": "a"}
    assert values(event("b")) == {"what": "b"}


def test_an_expression_that_does_not_compile_is_refused_when_it_is_bound():
    with pytest.raises(ExpressionError, match="mapping/who"):
        bind_mapping({"who": "custmer.email"})


def test_an_expression_that_fails_on_an_event_will_fail_again():
    values = bind_mapping({"who": "'a' + customer.email"})
    with pytest.raises(ExpressionError) as failure:
        values(event("x"))
    outcome = unusable_mapping(failure.value)
    assert outcome.kind is OutcomeKind.REJECTED
    assert "mapping/who" in outcome.reason
