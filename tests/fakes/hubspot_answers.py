"""How HubSpot words its refusals, as in contracts/hubspot.json."""

from __future__ import annotations

from typing import Any

from tests.fakes import Answer, as_json

STAMPS = {"startedAt": "2026-01-05T10:00:00.000Z", "completedAt": "2026-01-05T10:00:00.100Z"}


def error(status: int, category: str, message: str, **more: Any) -> Answer:
    """A refusal of a whole request."""
    return as_json(
        status,
        {
            "status": "error",
            "message": message,
            "correlationId": "aeb5f871-7f07-4993-9211-075dc63e7cbf",
            "category": category,
            **more,
        },
    )


def invalid(details: list[dict[str, Any]]) -> Answer:
    """A refusal because of values."""
    return error(400, "VALIDATION_ERROR", "Property values were not valid", errors=details)


def detail(message: str, code: str, name: str) -> dict[str, Any]:
    """What is wrong with one value."""
    return {"message": message, "code": code, "context": {"propertyName": [name]}}


def over_the_limit() -> Answer:
    """The window of ten seconds is used up."""
    message = "You have reached your ten_secondly_rolling limit."
    refusal = error(429, "RATE_LIMITS", message, policyName="TEN_SECONDLY_ROLLING")
    headers = {
        **refusal.headers,
        "X-HubSpot-RateLimit-Max": "100",
        "X-HubSpot-RateLimit-Remaining": "0",
        "X-HubSpot-RateLimit-Interval-Milliseconds": "10000",
    }
    return Answer(429, refusal.body, headers)


def multi_status(results: list[dict[str, Any]], errors: list[dict[str, Any]]) -> Answer:
    """The end of a batch: 200, or 207 when some of it failed."""
    document: dict[str, Any] = {"status": "COMPLETE", "results": results, **STAMPS}
    if errors:
        document |= {"numErrors": len(errors), "errors": errors}
    return as_json(207 if errors else 200, document)


def item_error(category: str, message: str, **context: str) -> dict[str, Any]:
    """One error of a batch; `context` names what it is about."""
    return {
        "status": "error",
        "category": category,
        "message": message,
        "context": {name: [value] for name, value in context.items()},
        "errors": [],
        "links": {},
    }
