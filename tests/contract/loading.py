"""The contracts in `contracts/*.json`: what a vendor takes, what it answers, what that means."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from jsonschema import Draft202012Validator

from app.domain.outcome import OutcomeKind

_FOLDER = Path(__file__).parent / "contracts"

#: The contracts' words for outcomes in the relay's; `resolve` means that the flow goes on.
KINDS = {
    "ok": OutcomeKind.DELIVERED,
    "ok_dropped": OutcomeKind.DROPPED,
    "retry": OutcomeKind.RETRY,
    "throttle": OutcomeKind.THROTTLE,
    "reject": OutcomeKind.REJECTED,
    "auth": OutcomeKind.AUTH_FAILED,
}


@dataclass(frozen=True)
class Sample:
    """One sample reply of one operation."""

    operation: str
    name: str
    status: int | None
    outcome: str
    headers: dict[str, str]
    body: Any

    def __str__(self) -> str:
        return f"{self.operation}-{self.name}"

    def response(self) -> httpx.Response:
        """The reply as a connector gets it."""
        assert self.status is not None, "no reply came"
        if isinstance(self.body, dict | list):
            content = json.dumps(self.body).encode()
            headers = {"content-type": "application/json", **self.headers}
        else:
            content, headers = (self.body or "").encode(), self.headers
        return httpx.Response(self.status, headers=headers, content=content)


@cache
def contract(connector: str) -> dict[str, Any]:
    """The whole contract."""
    return json.loads((_FOLDER / f"{connector}.json").read_text())


def samples(connector: str, *operations: str) -> list[Sample]:
    """The sample replies of these operations, or of all."""
    return list(_samples(connector, operations))


def _samples(connector: str, operations: tuple[str, ...]) -> Iterator[Sample]:
    for operation, described in contract(connector)["operations"].items():
        if operations and operation not in operations:
            continue
        for reply in described["responses"]:
            yield Sample(
                operation,
                reply["name"],
                reply["status"],
                reply["outcome"],
                reply.get("headers", {}),
                reply["body"],
            )


@cache
def _validator(connector: str, operation: str) -> Draft202012Validator:
    schema = contract(connector)["operations"][operation]["request"]
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def request_errors(connector: str, operation: str, document: Any) -> list[str]:
    """What is wrong with a request's body, empty when it is valid."""
    errors = _validator(connector, operation).iter_errors(document)
    return [f"{error.json_path}: {error.message}" for error in errors]
