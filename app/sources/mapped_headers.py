"""Which headers an expression speaks of: they are stored with the body, and no others are.

So a header must be named outright, which can be seen when the expression is saved.
"""

from __future__ import annotations

from app.domain.expression_syntax import Syntax, refuse
from app.sources.locations import header_name

_HOW = 'write headers["x-name"], headers.name or "x-name" in headers'


def headers_in(syntax: Syntax) -> tuple[str, ...]:
    """The lower-case names of the headers that an expression speaks of.

    Raises:
        ExpressionError: a name is not written outright, or the header holds a credential.
    """
    found: dict[str, None] = {}
    for position, token in enumerate(syntax.tokens):
        if token.text != "headers" or not syntax.is_free(position):
            continue
        name = _header_at(syntax, position)
        if name is None:
            raise refuse(syntax, token, f"a header must be named outright: {_HOW}")
        if name != name.lower():
            raise refuse(syntax, token, "the names of headers are in lower case")
        try:
            header_name(name)
        except ValueError as error:
            raise refuse(syntax, token, str(error)) from None
        found[name] = None
    return tuple(found)


def _header_at(syntax: Syntax, position: int) -> str | None:
    """The name beside the variable `headers`, None when there is none that stands there outright."""
    tokens = syntax.tokens
    if syntax.is_field(position + 1):
        return tokens[position + 2].text
    if syntax.mark(position + 1) == "[" and syntax.mark(position + 3) == "]":
        return _literal(syntax, position + 2)
    if position > 1 and tokens[position - 1].text == "in":
        return _literal(syntax, position - 2)
    return None


def _literal(syntax: Syntax, position: int) -> str | None:
    token = syntax.tokens[position]
    plain = token.kind == "string" and token.text[0] in "\"'" and "\\" not in token.text
    return token.text[1:-1] if plain else None
