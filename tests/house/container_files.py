"""Reads the Dockerfile and compose.yaml as far as the tests ask about them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import yaml


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction of a Dockerfile, its continuation lines joined."""

    stage: int
    word: str
    rest: str


def instructions(dockerfile: str) -> list[Instruction]:
    """All instructions, with the number of the stage each stands in (0 is the first)."""
    lines = [line for line in dockerfile.splitlines() if not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    found: list[Instruction] = []
    stage = -1
    for line in joined.splitlines():
        word, _, rest = line.strip().partition(" ")
        if not word:
            continue
        stage += word == "FROM"
        found.append(Instruction(stage, word, " ".join(rest.split())))
    return found


def final_stage(dockerfile: str) -> list[Instruction]:
    """The instructions that make the image."""
    every = instructions(dockerfile)
    return [instruction for instruction in every if instruction.stage == every[-1].stage]


def services(compose: str) -> dict[str, dict[str, Any]]:
    """The services of a compose file, anchors and merges resolved."""
    return yaml.safe_load(compose)["services"]


def relay_commands(dockerfile: str, compose: str) -> list[list[str]]:
    """Every command that starts with `relay`, in either file."""
    commands = [
        json.loads(instruction.rest)
        for instruction in instructions(dockerfile)
        if instruction.word in {"CMD", "ENTRYPOINT"}
    ]
    commands += [
        service["command"] for service in services(compose).values() if "command" in service
    ]
    return [command for command in commands if command[0] == "relay"]


def relay_variables(text: str) -> set[str]:
    """Every `RELAY_…` name that a file speaks of."""
    return set(re.findall(r"\bRELAY_[A-Z0-9_]*[A-Z0-9]\b", text))
