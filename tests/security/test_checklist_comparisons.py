"""Nothing secret is compared with an operator that stops at the first difference (reference B7: 22)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

APP = Path(__file__).resolve().parents[2] / "app"
MODULES = sorted(APP.rglob("*.py"))
#: Words in names of what an attacker may guess at, one character after the other.
WORDS = ("signature", "digest", "token", "secret", "password", "hmac", "api_key")
#: What may stand all the same, with the reason.
ALLOWED = {
    # The database looks a key up by its SHA-256; who may guess at a digest learns nothing of a key.
    "api_keys.c.digest == digest",
    # Whether a text of our own holds what must be masked in it.
    "token in text",
    "token in outcome.reason",
}


def comparisons(tree: ast.AST) -> Iterator[str]:
    """The comparisons of two values, neither a literal, one of them named like a secret."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare) or len(node.ops) != 1:
            continue
        if not isinstance(node.ops[0], ast.Eq | ast.NotEq | ast.In | ast.NotIn):
            continue
        sides = (node.left, node.comparators[0])
        if any(isinstance(side, ast.Constant | ast.Set | ast.Dict | ast.List) for side in sides):
            continue
        if isinstance(node.ops[0], ast.In | ast.NotIn) and not _names_a_secret(node.left):
            continue
        if any(_names_a_secret(side) for side in sides):
            yield ast.unparse(node)


def _names_a_secret(node: ast.expr) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return any(word in name.lower() for word in WORDS) and not name.isupper()


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(APP)))
def test_no_module_compares_a_secret_with_an_operator(module):
    assert set(comparisons(ast.parse(module.read_text()))) <= ALLOWED


@pytest.mark.parametrize(
    "planted",
    ["given == expected_digest", "token != stored", "self.signature == found", "secret in known"],
)
def test_a_planted_comparison_is_found(planted):
    assert list(comparisons(ast.parse(planted))) == [planted]


def test_looking_whether_there_is_one_is_no_comparison():
    assert not list(comparisons(ast.parse("token is None or kind == 'token' or token == ''")))
