"""Whether a target's settings work: one harmless request, and what its reply means."""

from __future__ import annotations

from collections.abc import Sequence

import httpx

from app.connectors.base import Assignment, Flow
from app.connectors.classify import Rule, classify


def asked(
    request: httpx.Request,
    assignment: Assignment,
    rules: Sequence[Rule] = (),
    secrets: Sequence[str] = (),
) -> Flow:
    """Ask something that changes nothing; a good answer shows that the credential is right."""
    response = yield request
    return classify(response, rules, now=assignment.now, secrets=secrets)
