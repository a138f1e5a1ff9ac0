"""The rules of the house over every module, each proven by a planted violation."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache, partial
from pathlib import Path, PurePosixPath

import house_rules
import pytest
from house_rules import Finding

ROOT = Path(__file__).resolve().parents[2]
CODE = ("app", "benchmarks", "docs", "migrations", "tests")


@cache
def sources(*folders: str) -> dict[str, str]:
    """Path from the root to text, for every Python module under `folders`."""
    return {
        path.relative_to(ROOT).as_posix(): path.read_text()
        for folder in folders
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


def trees(*folders: str) -> dict[str, ast.Module]:
    """Path from the root to syntax tree, for every Python module under `folders`."""
    return {path: tree for folder in folders for path, tree in _parsed(folder).items()}


@cache
def _parsed(folder: str) -> dict[str, ast.Module]:
    return {path: ast.parse(source) for path, source in sources(folder).items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeRule:
    """A rule over the modules of `app`, the places where it does not hold, and a violation."""

    says: str
    find: Callable[[ast.Module], Iterator[Finding]]
    allowed: tuple[str, ...] = ()
    planted: str
    innocent: str


RULES = (
    TreeRule(
        says="the wall clock is injected",
        find=partial(house_rules.uses, names=house_rules.WALL_CLOCK),
        allowed=("app/domain/clock.py", "app/domain/ids.py"),
        planted="from datetime import datetime as moment\nmoment.now()\n",
        innocent="from datetime import datetime\ndatetime.fromtimestamp(0)\n",
    ),
    TreeRule(
        says="durations are measured at the edges only",
        find=partial(house_rules.uses, names=house_rules.STOPWATCH, injectable=True),
        allowed=(
            "app/api/*",
            "app/cli/*",
            "app/egress/*",
            "app/main.py",
            "app/runtime.py",
            "app/telemetry.py",
            "app/worker/*",
        ),
        planted="import time\nstarted = time.monotonic()\n",
        innocent="import time\ndef drive(*, elapsed=time.monotonic):\n    return elapsed()\n",
    ),
    TreeRule(
        says="the environment is read by the settings",
        find=partial(house_rules.uses, names=house_rules.ENVIRONMENT),
        allowed=("app/cli/*", "app/runtime.py", "app/settings.py", "app/telemetry.py"),
        planted="from os import environ\nenviron['HOME']\n",
        innocent="import os\nos.urandom(8)\n",
    ),
    TreeRule(
        says="there is one JSON reader",
        find=partial(house_rules.uses, names=house_rules.JSON_READERS),
        allowed=("app/domain/strict_json.py",),
        planted="import orjson as fast\nfast.loads(b'1')\n",
        innocent="import orjson\norjson.dumps(1)\n",
    ),
    TreeRule(
        says="no JSON is read through a request, a response or a model",
        find=partial(house_rules.calls_method, methods=house_rules.JSON_METHODS),
        allowed=("app/cli/*",),
        planted="def read(response):\n    return response.json()\n",
        innocent="def write(model):\n    return model.model_dump_json()\n",
    ),
    TreeRule(
        says="no second JSON library",
        find=partial(house_rules.imports, packages=frozenset({"msgspec", "simplejson", "ujson"})),
        planted="import msgspec.json\n",
        innocent="import orjson\n",
    ),
    TreeRule(
        says="secrets are compared in constant time",
        find=house_rules.compares_secrets,
        planted="def check(given, row):\n    return given == row.token_digest.hex()\n",
        innocent=(
            "def check(keys, digest, design, assignment):\n"
            "    keys.c.digest == digest\n"
            "    design.kind == assignment.kind\n"
            "    digest == b''\n"
            "    len(digest) == len(design)\n"
        ),
    ),
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.says.replace(" ", "-"))
def test_no_module_of_the_app_breaks_the_rule(rule):
    broken = [
        f"{path}:{finding.line}: {finding.text}"
        for path, tree in trees("app").items()
        if not any(fnmatch(path, pattern) for pattern in rule.allowed)
        for finding in rule.find(tree)
    ]
    assert broken == [], rule.says


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.says.replace(" ", "-"))
def test_the_rule_catches_its_planted_violation(rule):
    assert [*rule.find(ast.parse(rule.planted))] != []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.says.replace(" ", "-"))
def test_the_rule_leaves_innocent_code_alone(rule):
    assert [*rule.find(ast.parse(rule.innocent))] == []


def test_only_the_store_and_the_migrations_use_the_database_library():
    database = frozenset({"aiosqlite", "alembic", "asyncpg", "sqlalchemy", "sqlite3"})
    broken = [
        f"{path}:{finding.line}"
        for path, tree in trees("app", "docs").items()
        if not path.startswith("app/store/")
        for finding in house_rules.imports(tree, database)
    ]
    assert broken == []


def test_every_suppression_names_its_rule_and_its_reason():
    broken = [
        f"{path}:{finding.line}: {finding.text}"
        for path, source in sources(*CODE).items()
        for finding in house_rules.unexplained_suppressions(source)
    ]
    assert broken == []


@pytest.mark.parametrize(
    ("comment", "explained"),
    [
        ("# noqa", False),
        ("# noqa: E501", False),
        ("# NOQA: E501 x", False),
        ("# type: ignore", False),
        ("# type: ignore[arg-type]", False),
        ("# type: ignore  # the stubs are wrong", False),
        ("# type: ignore[arg-type]  # noqa: E501", False),
        ("# noqa: S104  compared, not bound", True),
        ("# noqa: S104, PLR2004  compared, not bound", True),
        ("# type: ignore[arg-type]  # the stubs are wrong", True),
    ],
)
def test_a_suppression_without_a_reason_is_caught(comment, explained):
    assert ([*house_rules.unexplained_suppressions(f"x = 1  {comment}\n")] == []) is explained


def test_every_module_can_be_read_in_one_sitting():
    broken = [
        f"{path}: {finding.text}"
        for path, source in sources("app", "benchmarks", "docs", "migrations").items()
        for finding in house_rules.too_long(source)
    ]
    assert broken == []


def test_a_module_that_is_too_long_is_caught():
    assert [*house_rules.too_long("\n" * (house_rules.MODULE_LINES + 1))] != []
    assert [*house_rules.too_long("\n" * house_rules.MODULE_LINES)] == []


def test_every_module_is_named_after_what_it_does():
    broken = [path for path in sources(*CODE) if any(house_rules.vague_name(PurePosixPath(path)))]
    assert broken == []


def test_a_vague_name_is_caught():
    assert [*house_rules.vague_name(PurePosixPath("app/utils/dates.py"))] != []
    assert [*house_rules.vague_name(PurePosixPath("app/store/helpers.py"))] != []
    assert [*house_rules.vague_name(PurePosixPath("app/api/manage_sources.py"))] == []


def test_every_module_says_what_it_is_for():
    broken = [
        path for path, tree in trees(*CODE).items() if any(house_rules.without_docstring(tree))
    ]
    assert broken == []


def test_a_module_without_a_docstring_is_caught():
    assert [*house_rules.without_docstring(ast.parse("x = 1\n"))] != []
    assert [*house_rules.without_docstring(ast.parse('"""What it is for."""\n'))] == []
