"""Writes selections as text that reads as the same selection.

Called by `AssetSelection.to_selection_str` and by whoever sends a selection elsewhere.
"""

from collections.abc import Callable
from typing import Any

from atoll._selections import expressions, lexing, parsing

_NOTHING_TEXT = "group:<null>"


def write(expression: expressions.Expression) -> str:
    """Write an expression.

    Args:
        expression: The expression.

    Returns:
        Text of which the parser makes an equal expression.
    """
    return " or ".join(_TEXTS_OF[type(expression)](expression)) or _NOTHING_TEXT


def needs_parentheses(expression: expressions.Expression) -> bool:
    """Tell whether an expression has to be put into parentheses to be part of another."""
    compound = (expressions.Both, expressions.Without, expressions.Traversal)
    return isinstance(expression, compound) or len(_TEXTS_OF[type(expression)](expression)) > 1


def write_operand(expression: expressions.Expression) -> str:
    """Write an expression as a part of another, in parentheses where it needs them."""
    # Pluses bind closer than words do; only beside other pluses they need parentheses.
    if isinstance(expression, expressions.Traversal):
        return write(expression)
    return _closed(expression)


def _closed(expression: expressions.Expression) -> str:
    text = write(expression)
    return f"({text})" if needs_parentheses(expression) else text


def _either(expression: expressions.Either) -> list[str]:
    return [write_operand(one) for one in expression.operands]


def _both(expression: expressions.Both) -> list[str]:
    return [" and ".join(map(write_operand, expression.operands))]


def _without(expression: expressions.Without) -> list[str]:
    right = write_operand(expression.right)
    if expression.left == expressions.Everything():
        return [f"not {right}"]
    return [f"{write_operand(expression.left)} and not {right}"]


def _traversal(expression: expressions.Traversal) -> list[str]:
    child = _closed(expression.child)
    depth = "" if expression.depth is None else str(expression.depth)
    upstream = expression.direction is expressions.Direction.UPSTREAM
    return [f"{depth}+{child}" if upstream else f"{child}+{depth}"]


def _applied(expression: expressions.Applied) -> list[str]:
    return [f"{expression.function.value}({write(expression.child)})"]


def _all_checks(_expression: expressions.AllChecks) -> list[str]:
    return [f"{parsing.ALL_CHECKS}()"]


def _check_keys(expression: expressions.CheckKeys) -> list[str]:
    return [f"check:{lexing.quoted(key.to_user_string())}" for key in expression.keys]


def _everything(expression: expressions.Everything) -> list[str]:
    return [_with_sources("*", included=expression.include_sources)]


def _keys(expression: expressions.Keys) -> list[str]:
    names = (key.to_user_string() for key in expression.keys)
    return [f"key:{lexing.quoted(name, literal_stars=True)}" for name in names]


def _key_pattern(expression: expressions.KeyPattern) -> list[str]:
    pieces = (lexing.quoted(one, literal_stars=True)[1:-1] for one in expression.pieces)
    return [f'key:"{"*".join(pieces)}"']


def _key_prefixes(expression: expressions.KeyPrefixes) -> list[str]:
    names = ("/".join(part.replace("/", "\\/") for part in one) for one in expression.prefixes)
    return [
        _with_sources(f"key_prefix:{lexing.quoted(name)}", included=expression.include_sources)
        for name in names
    ]


def _key_substring(expression: expressions.KeySubstring) -> list[str]:
    text = f"key_substring:{lexing.quoted(expression.text)}"
    return [_with_sources(text, included=expression.include_sources)]


def _groups(expression: expressions.Groups) -> list[str]:
    return [
        _with_sources(f"group:{lexing.quoted(name)}", included=expression.include_sources)
        for name in expression.names
    ]


def _tag(expression: expressions.Tag) -> list[str]:
    value = f"={lexing.quoted(expression.value)}" if expression.value else ""
    text = f"tag:{lexing.quoted(expression.key)}{value}"
    return [_with_sources(text, included=expression.include_sources)]


def _kind(expression: expressions.Kind) -> list[str]:
    text = f"kind:{_value(expression.kind)}"
    return [_with_sources(text, included=expression.include_sources)]


def _owner(expression: expressions.Owner) -> list[str]:
    return [f"owner:{_value(expression.owner)}"]


def _host_attribute(expression: expressions.HostAttribute) -> list[str]:
    detail = "" if expression.detail is None else f"={lexing.quoted(expression.detail)}"
    return [f"{expression.field}:{_value(expression.value)}{detail}"]


def _value(value: str | None) -> str:
    return "<null>" if value is None else lexing.quoted(value)


def _with_sources(text: str, *, included: bool) -> str:
    return f"{parsing.WITH_SOURCES}({text})" if included else text


# One text for each of the alternatives that an expression lists.
_TEXTS_OF: dict[type[expressions.Expression], Callable[[Any], list[str]]] = {
    expressions.AllChecks: _all_checks,
    expressions.Applied: _applied,
    expressions.Both: _both,
    expressions.CheckKeys: _check_keys,
    expressions.Either: _either,
    expressions.Everything: _everything,
    expressions.Groups: _groups,
    expressions.HostAttribute: _host_attribute,
    expressions.KeyPattern: _key_pattern,
    expressions.KeyPrefixes: _key_prefixes,
    expressions.KeySubstring: _key_substring,
    expressions.Keys: _keys,
    expressions.Kind: _kind,
    expressions.Owner: _owner,
    expressions.Tag: _tag,
    expressions.Traversal: _traversal,
    expressions.Without: _without,
}
