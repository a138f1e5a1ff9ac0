"""What Prometheus reads of attempts."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.telemetry import Metrics


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (one.name, tuple(sorted(one.labels.items()))): one.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for one in family.samples
    }


def test_attempts_are_counted_by_target_and_outcome():
    metrics = Metrics()
    for outcome in ("delivered", "retry", "delivered"):
        metrics.attempted("crm", outcome, 0.1)
    found = samples(metrics)
    assert found["relay_attempts_total", (("outcome", "delivered"), ("target", "crm"))] == 2
    assert found["relay_attempts_total", (("outcome", "retry"), ("target", "crm"))] == 1


@pytest.mark.parametrize(
    ("seconds", "first"),
    [(0.0, "0.005"), (0.005, "0.005"), (0.0051, "0.02"), (30.0, "30.0"), (31.0, "+Inf")],
)
def test_an_attempt_counts_in_every_bucket_from_the_first_that_holds_it(seconds, first):
    metrics = Metrics()
    metrics.attempted("crm", "delivered", seconds)
    found = samples(metrics)
    held = {
        dict(labels)["le"]: value
        for (name, labels), value in found.items()
        if name == "relay_attempt_seconds_bucket"
    }
    order = sorted(held, key=float)
    assert [held[bound] for bound in order] == [
        float(position >= order.index(first)) for position in range(len(order))
    ]
    assert found["relay_attempt_seconds_count", (("target", "crm"),)] == 1
    assert found["relay_attempt_seconds_sum", (("target", "crm"),)] == seconds


def test_a_target_may_be_called_anything():
    metrics = Metrics()
    metrics.attempted('a "b"\n\\c', "delivered", 0.1)
    labels = (("outcome", "delivered"), ("target", 'a "b"\n\\c'))
    assert samples(metrics)["relay_attempts_total", labels] == 1


def test_nothing_is_said_of_targets_that_nobody_tried():
    assert not [name for name, _ in samples(Metrics()) if name.startswith("relay_attempt")]
