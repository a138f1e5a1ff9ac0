"""`/v1/replays`: part of the contract that this version does not carry out."""

from __future__ import annotations

from typing import Annotated, Any, NoReturn

from fastapi import Path

from app.api.authentication import ReadAccess, WriteAccess
from app.api.management_route import management_router
from app.api.problems import problem_responses
from app.domain.errors import NotImplementedYet

router = management_router("replays", "Replays")

ReplayPath = Annotated[str, Path(alias="replay_id", description="The id of a replay.")]
_NOT_YET: dict[str, Any] = {"status_code": 501, "responses": problem_responses(501)}


def _refuse() -> NoReturn:
    raise NotImplementedYet(
        "Replays come with a later version; use /v1/deliveries/<id>/retry for single deliveries."
    )


@router.post(
    "",
    summary="Start a replay (not yet)",
    **_NOT_YET,
)
async def create_replay(_access: WriteAccess) -> None:
    """Send past events to a target again: not carried out by this version."""
    _refuse()


@router.get(
    "",
    summary="List replays (not yet)",
    **_NOT_YET,
)
async def list_replays(_access: ReadAccess) -> None:
    """Not carried out by this version."""
    _refuse()


@router.get(
    "/{replay_id}",
    summary="Look at a replay (not yet)",
    **_NOT_YET,
)
async def get_replay(_access: ReadAccess, _replay_id: ReplayPath) -> None:
    """Not carried out by this version."""
    _refuse()


@router.post(
    "/{replay_id}/cancel",
    summary="Stop a replay (not yet)",
    **_NOT_YET,
)
async def cancel_replay(_access: WriteAccess, _replay_id: ReplayPath) -> None:
    """Not carried out by this version."""
    _refuse()
