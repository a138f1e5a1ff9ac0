"""Idempotency beneath the API: dead processes, lost keys, a store that goes away; both databases."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from app.domain.errors import Conflict, ValidationFailed
from app.services.idempotency import Answer, Idempotency, IdempotentRequest
from app.store import idempotency, tables
from app.store.database import unavailable
from app.store.sealing import Sealer
from tests.databases import count

ANSWER = Answer(status=201, body='{"token": "canary"}', headers={"location": "/v1/sources/src_a"})


def asked(**values: object) -> IdempotentRequest:
    fields = {
        "principal_id": "key_a",
        "method": "POST",
        "path": "/v1/sources",
        "key": "one",
        "body": b"{}",
    }
    return IdempotentRequest(**(fields | values))


async def answer() -> Answer:
    return ANSWER


async def never() -> Answer:
    pytest.fail("carried out again")


@pytest.fixture
def once(database, sealer, clock) -> Idempotency:
    return Idempotency(database, sealer, clock)


async def test_the_first_answer_is_given_again(once):
    assert await once.run(asked(), answer) == ANSWER
    again = await once.run(asked(), never)
    assert (again.status, again.body, again.headers) == (201, ANSWER.body, ANSWER.headers)
    assert again.replayed


@pytest.mark.parametrize(
    "values", [{"principal_id": "key_b"}, {"method": "PUT"}, {"path": "/v1/targets"}, {"key": "o"}]
)
async def test_another_caller_method_path_or_key_is_another_request(once, values):
    await once.run(asked(), answer)
    assert not (await once.run(asked(**values), answer)).replayed


async def test_parts_cannot_be_shifted_into_each_other():
    one = asked(path="/v1/sources", key="a")
    other = asked(path="/v1/source", key="sa")
    assert one.scope_key != other.scope_key


async def test_while_the_first_is_under_way_the_second_is_told_to_wait(once):
    async def within() -> Answer:
        with pytest.raises(Conflict):
            await once.run(asked(), never)
        with pytest.raises(ValidationFailed):
            await once.run(asked(body=b"[]"), never)
        return ANSWER

    assert await once.run(asked(), within) == ANSWER


async def test_the_key_of_a_process_that_died_is_free_after_a_minute(once, clock, monkeypatch):
    class Died(Exception):
        pass

    async def die() -> Answer:
        raise Died

    with monkeypatch.context() as dead:
        dead.setattr(idempotency, "forget", lambda *_: None)
        with pytest.raises(Died):
            await once.run(asked(), die)
    clock.advance(60)
    with pytest.raises(Conflict):
        await once.run(asked(), never)
    clock.advance(1)
    assert await once.run(asked(body=b"[]"), answer) == ANSWER


async def test_what_failed_leaves_nothing_behind(once, database):
    async def fail() -> Answer:
        raise Conflict("the name is taken")

    with pytest.raises(Conflict):
        await once.run(asked(), fail)
    assert await database.read(lambda c: count(c, tables.idempotency_keys)) == 0


async def test_an_answer_that_cannot_be_kept_is_given_all_the_same(once, database, monkeypatch):
    write = database.write
    calls = []

    async def failing(work):
        calls.append(work)
        if len(calls) > 1:
            raise unavailable(OSError())
        return await write(work)

    monkeypatch.setattr(database, "write", failing)
    assert await once.run(asked(), answer) == ANSWER


async def test_a_kept_answer_is_sealed(once, database):
    await once.run(asked(), answer)
    table = tables.idempotency_keys
    row = await database.read(lambda c: c.execute(sa.select(table)).one())
    assert "canary" not in str(tuple(row))


async def test_an_answer_that_no_longer_opens_is_not_made_up(once, database, clock):
    await once.run(asked(), answer)
    other = Idempotency(database, Sealer([b"o" * 32]), clock)
    with pytest.raises(Conflict, match="master key"):
        await other.run(asked(), never)


async def test_expired_answers_are_removed(once, database, clock):
    await once.run(asked(), answer)
    now = 1_795_435_200_000_000
    day = 86_400_000_000
    assert await database.write(lambda c: idempotency.expire(c, now + day - 1)) == 0
    assert await database.write(lambda c: idempotency.expire(c, now + day)) == 1
