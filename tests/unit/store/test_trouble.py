"""What a database refused lately."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from app.store.trouble import Trouble


class Seconds:
    """A stopwatch that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def trouble(seconds: Seconds) -> Trouble:
    return Trouble(seconds)


def test_a_refused_write_is_remembered_for_ten_seconds(trouble, seconds):
    assert not trouble.lately()
    trouble.met(OSError("gone"), writing=True)
    seconds.now += 9.9
    assert trouble.lately()
    seconds.now += 0.1
    assert not trouble.lately()


def test_a_refused_read_is_said_but_not_remembered(trouble):
    with capture_logs() as lines:
        trouble.met(OSError("gone"), writing=False)
    assert [line["cause"] for line in lines] == ["OSError: gone"]
    assert not trouble.lately()


def test_each_cause_is_said_once_in_ten_seconds(trouble, seconds):
    with capture_logs() as lines:
        for _ in range(3):
            trouble.met(OSError("gone"), writing=True)
            trouble.met(OSError("full"), writing=True)
        seconds.now += 10
        trouble.met(OSError("gone"), writing=True)
    assert [line["cause"] for line in lines] == ["OSError: gone", "OSError: full", "OSError: gone"]


def test_the_drivers_words_are_said_without_the_statement_and_its_parameters(trouble):
    driver = OSError("no room\nDETAIL: canary")
    with capture_logs() as lines:
        trouble.met(
            sa.exc.OperationalError("INSERT canary", {"body": "canary"}, driver), writing=True
        )
    assert lines[0]["cause"] == "OSError: no room"
