"""How long an answer of a network is good, and for which events."""

from __future__ import annotations

from app.domain.model import Customer, Membership
from app.domain.unsaid import About, Question
from app.services.answers_kept import Answer, AnswersKept

SECOND = 1_000_000
NOW = 1_795_461_463 * SECOND
WHO = ("src_1", Question(About.CUSTOMER, "2"))
WHAT = ("src_1", Question(About.MEMBERSHIP, "2"))


def kept(*answers: tuple[tuple[str, Question], Answer], most: int = 10) -> AnswersKept:
    made = AnswersKept(most)
    for key, answer in answers:
        made.put(key, answer)
    return made


def test_a_signup_date_is_good_for_an_hour_and_for_any_event():
    answers = kept((WHO, Answer(Customer(), NOW)))
    assert answers.get(WHO, NOW + 3600 * SECOND, NOW + 3599 * SECOND) is not None
    assert answers.get(WHO, NOW + 3601 * SECOND, NOW) is None


def test_a_plan_is_not_used_for_events_that_came_after_it_was_asked_for():
    answers = kept((WHAT, Answer(Membership(), NOW)))
    assert answers.get(WHAT, NOW + SECOND, NOW) is not None
    assert answers.get(WHAT, NOW + SECOND, NOW + 1) is None
    assert answers.get(WHAT, NOW + 301 * SECOND, NOW) is None


def test_an_answer_that_was_overtaken_is_not_kept():
    newer = Answer(Membership(id="7"), NOW + SECOND)
    answers = kept((WHAT, newer), (WHAT, Answer(Membership(), NOW)))
    assert answers.get(WHAT, NOW + SECOND, NOW) == newer


def test_that_there_is_nothing_is_good_for_a_minute():
    answers = kept((WHO, Answer(None, NOW)))
    assert answers.get(WHO, NOW + 60 * SECOND, NOW) == Answer(None, NOW)
    assert answers.get(WHO, NOW + 61 * SECOND, NOW) is None


def test_the_least_recently_used_answer_goes_first():
    third = ("src_2", WHO[1])
    answers = kept((WHO, Answer(None, NOW)), (WHAT, Answer(None, NOW)), most=2)
    assert answers.get(WHO, NOW, NOW) is not None
    answers.put(third, Answer(None, NOW))
    assert answers.get(WHAT, NOW, NOW) is None
    assert answers.get(WHO, NOW, NOW) is not None
    assert answers.get(third, NOW, NOW) is not None
