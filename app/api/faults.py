"""Faults of the relay's own: logged so that they can be found, without what was sent.

The text of an exception may quote a body or a credential (a database error names its
parameters), so that only its type and its way through the code are written down.
"""

from __future__ import annotations

from pathlib import Path
from traceback import extract_tb

import structlog

from app.api.problems import InternalError

_log = structlog.get_logger(__name__)
_MOST_FRAMES = 8
_OURS = Path(__file__).resolve().parents[1]


def log_fault(event: str, error: BaseException, **about: str) -> None:
    """Write down an exception nobody expected; `about` must hold nothing a sender wrote."""
    _log.error(event, error=type(error).__name__, at=_frames(error), **about)


def fault(event: str, error: BaseException) -> InternalError:
    """The refusal that stands for an exception nobody expected; writes it down."""
    log_fault(event, error)
    return InternalError("Something went wrong inside the relay; the cause stands in its log.")


def _frames(error: BaseException) -> list[str]:
    """The way through our own code, and the place where it ended."""
    frames = extract_tb(error.__traceback__)
    ours = [frame for frame in frames[:-1] if _OURS in Path(frame.filename).parents]
    shown = [*ours[-_MOST_FRAMES:], *frames[-1:]]
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in shown]
