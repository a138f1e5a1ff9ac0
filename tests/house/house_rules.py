"""The rules of the house that no off-the-shelf linter knows, as functions over source text.

Each takes what it judges and yields findings; none knows which files exist, so that a test can
hand it a planted violation.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken rule: the line it stands on and what is wrong."""

    line: int
    text: str


WALL_CLOCK = frozenset(
    {
        "datetime.date.today",
        "datetime.datetime.now",
        "datetime.datetime.today",
        "datetime.datetime.utcnow",
        "time.gmtime",
        "time.localtime",
        "time.time",
        "time.time_ns",
    }
)
STOPWATCH = frozenset(
    {"time.monotonic", "time.monotonic_ns", "time.perf_counter", "time.perf_counter_ns"}
)
ENVIRONMENT = frozenset({"os.environ", "os.environb", "os.getenv", "os.putenv", "os.unsetenv"})
JSON_READERS = frozenset(
    {"json.JSONDecoder", "json.load", "json.loads", "orjson.loads", "pydantic_core.from_json"}
)
JSON_METHODS = frozenset({"json", "model_validate_json", "validate_json"})


@cache
def _nodes(tree: ast.AST) -> tuple[ast.AST, ...]:
    """Everything in a tree; each rule looks at all of it."""
    return tuple(ast.walk(tree))


def uses(tree: ast.AST, names: frozenset[str], *, injectable: bool = False) -> Iterator[Finding]:
    """Places that use one of `names`, however it was imported.

    With `injectable`, it may stand as the default of a parameter: then a caller can replace it.
    """
    aliases = _imported(tree)
    exempt = _defaults(tree) if injectable else frozenset[ast.AST]()
    for node in _nodes(tree):
        chain = _chain(node) if node not in exempt else []
        if chain and chain[0] in aliases:
            name = ".".join([aliases[chain[0]], *chain[1:]])
            if name in names:
                yield Finding(node.lineno, name)


def calls_method(tree: ast.AST, methods: frozenset[str]) -> Iterator[Finding]:
    """Calls of a method by its name, whatever it is called on."""
    for node in _nodes(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in methods
        ):
            yield Finding(node.lineno, f".{node.func.attr}()")


def imports(tree: ast.AST, packages: frozenset[str]) -> Iterator[Finding]:
    """Imports of one of `packages` or of anything inside it."""
    for node in _nodes(tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            modules = [node.module or ""]
        else:
            continue
        for module in modules:
            if module.split(".")[0] in packages:
                yield Finding(node.lineno, module)


def _defaults(tree: ast.AST) -> frozenset[ast.AST]:
    """The default values of all parameters."""
    return frozenset(
        default
        for node in _nodes(tree)
        if isinstance(node, ast.arguments)
        for default in (*node.defaults, *node.kw_defaults)
        if default is not None
    )


def _imported(tree: ast.AST) -> dict[str, str]:
    aliases: dict[str, str] = {}
    for node in _nodes(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                root = alias.name.split(".")[0]
                aliases[alias.asname or root] = alias.name if alias.asname else root
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return aliases


def _chain(node: ast.AST) -> list[str]:
    """The parts of `a.b.c`; empty when the root is not a plain name."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return []
    return [node.id, *reversed(parts)]


_SECRET_WORD = re.compile(r"(^|_)(sig|signature|digest|token|secret|password)($|_)")
#: Methods whose result is as secret as what they are called on.
_CONVERSIONS = frozenset(
    {"decode", "encode", "get_secret_value", "hex", "lower", "removeprefix", "strip"}
)


def compares_secrets(tree: ast.AST) -> Iterator[Finding]:
    """`==` and `!=` between two values of which one is named as a secret.

    A comparison with a constant says nothing about a secret.
    A comparison of a table's column (`keys.c.digest`) is carried out by the database.
    """
    for node in _nodes(tree):
        if not isinstance(node, ast.Compare):
            continue
        sides = [node.left, *node.comparators]
        for operator, left, right in zip(node.ops, sides, sides[1:], strict=False):
            if (
                isinstance(operator, ast.Eq | ast.NotEq)
                and not _is_constant(left)
                and not _is_constant(right)
                and not (_is_column(left) or _is_column(right))
                and (_is_secret(left) or _is_secret(right))
            ):
                yield Finding(node.lineno, ast.unparse(node))


def _is_constant(node: ast.expr) -> bool:
    """A literal, or a name in capitals such as `OutcomeKind.GONE`."""
    name = _chain(node)[-1:]
    return isinstance(node, ast.Constant) or (name != [] and name[0].isupper())


def _is_column(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and (
        isinstance(node.value, ast.Attribute) and node.value.attr == "c"
    )


def _is_secret(node: ast.expr) -> bool:
    """True when a value, or what it was converted from, is named as a secret."""
    while True:
        match node:
            case ast.Name(id=name):
                return _SECRET_WORD.search(name.lower()) is not None
            case ast.Attribute(value=inner, attr=name):
                if _SECRET_WORD.search(name.lower()):
                    return True
                if name not in _CONVERSIONS:
                    return False
                node = inner
            case ast.Call(func=inner) | ast.Subscript(value=inner) | ast.Await(value=inner):
                node = inner
            case _:
                return False


MODULE_LINES = 350
VAGUE_NAMES = frozenset({"common", "helper", "helpers", "manager", "managers", "misc", "utils"})

_SUPPRESSION = re.compile(r"#\s*(?:noqa|type:\s*ignore)", re.IGNORECASE)
_REASONED = re.compile(
    r"#\s*(?:noqa:\s*[A-Z]+\d+(?:\s*,\s*[A-Z]+\d+)*|type:\s*ignore\[[a-z\d, -]+\])"
    r"\s+(?:#\s*)?(?!#|noqa|type:)(?P<reason>\S.*)"
)


def unexplained_suppressions(source: str) -> Iterator[Finding]:
    """`noqa` and `type: ignore` without a code, or without a reason behind it."""
    if not _SUPPRESSION.search(source):
        return
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT or not _SUPPRESSION.search(token.string):
            continue
        reasoned = _REASONED.search(token.string)
        if reasoned is None or " " not in reasoned["reason"].strip():
            yield Finding(token.start[0], token.string)


def too_long(source: str) -> Iterator[Finding]:
    """A module of more lines than a reader takes in."""
    lines = source.count("\n")
    if lines > MODULE_LINES:
        yield Finding(lines, f"{lines} lines, at most {MODULE_LINES}")


def vague_name(path: PurePosixPath) -> Iterator[Finding]:
    """A module or package whose name says nothing about what it does."""
    for part in (*path.parent.parts, path.stem):
        if part in VAGUE_NAMES:
            yield Finding(1, f"named {part}")


def without_docstring(tree: ast.Module) -> Iterator[Finding]:
    """A module that does not say what it is for."""
    if tree.body and not ast.get_docstring(tree):
        yield Finding(1, "no module docstring")
