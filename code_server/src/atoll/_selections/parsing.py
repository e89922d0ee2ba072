"""Reads the text of a selection.

Called by `AssetSelection.from_string`. A parser by recursive descent:

```
either    = both {"or" both}
both      = negation {"and" negation}
negation  = "not" negation | traversal
traversal = [[depth] "+"] operand ["+" [depth]]
operand   = "*" | key | field ":" value | function "(" either ")" | "(" either ")"
```

A key may stand without a field. Then, as in selections of ops, each plus is one step and a star is
all of them: `++key`, `*key`. With a field, a plus is all steps and a number before it limits them:
`2+key:"a"`.
"""

from collections.abc import Callable
from typing import NamedTuple, NoReturn, TypeVar

from atoll import _keys as asset_keys
from atoll import errors
from atoll._selections import expressions, lexing

WITH_SOURCES = "with_sources"
ALL_CHECKS = "all_asset_checks"
_NESTING_MAX = 100
_KEYWORDS = ("and", "or", "not")
_FUNCTIONS: dict[str, expressions.Function] = {one.value: one for one in expressions.Function}
_FUNCTIONS["sources"] = expressions.Function.ROOTS
_OWN_FIELDS = (
    "key", "key_prefix", "key_substring", "group", "tag", "owner", "kind", "check",
)  # fmt: skip
_FIELDS = frozenset((*_OWN_FIELDS, *expressions.HOST_FIELDS))
_FIELDS_WITH_NULL = ("group", "owner", "kind", *expressions.HOST_FIELDS)
_FIELDS_WITH_DETAIL = ("tag", *expressions.HOST_FIELDS_WITH_DETAIL)

_T = TypeVar("_T")


def parse(text: str, *, include_sources: bool = False) -> expressions.Expression:
    """Read a selection.

    Args:
        text: The text.
        include_sources: Whether it also chooses from assets that cannot be materialized.

    Returns:
        What it says.

    Raises:
        InvalidAssetSelectionError: It cannot be read; the error points at the column.
    """
    return _Parser(text, include_sources=include_sources).whole()


class _Operand(NamedTuple):
    """An operand, and how many steps stars before and after a bare key ask for."""

    expression: expressions.Expression
    bare: bool = False
    all_upstream: bool = False
    all_downstream: bool = False


class _Parser:
    def __init__(self, text: str, *, include_sources: bool) -> None:
        self._text = text
        self._tokens = lexing.tokens_of(text)
        self._position = 0
        self._include_sources = include_sources
        self._nesting = 0

    def whole(self) -> expressions.Expression:
        if self._now.kind == lexing.END:
            self._fail(self._now, "there is nothing to read. Write '*' for everything, or a key")
        parsed = self._either()
        if self._now.kind != lexing.END:
            self._fail_after_operand()
        return parsed

    # The words.

    @property
    def _now(self) -> lexing.Token:
        return self._tokens[self._position]

    @property
    def _next(self) -> lexing.Token:
        return self._tokens[min(self._position + 1, len(self._tokens) - 1)]

    def _take(self) -> lexing.Token:
        token = self._now
        self._position += 1
        return token

    def _is_keyword(self, word: str) -> bool:
        return self._now.kind == lexing.WORD and self._now.text.lower() == word

    def _fail(self, token: lexing.Token, what: str) -> NoReturn:
        lexing.fail(self._text, token.start, what)

    def _fail_after_operand(self) -> NoReturn:
        token = self._now
        if token.kind == ")":
            self._fail(token, "this parenthesis closes nothing. Take it away")
        if token.kind == ":":
            self._fail(
                token,
                'a value that holds a colon needs quotes, as in owner:"team:name"',
            )
        if token.kind == "=":
            fields = " and ".join(f"{one}:" for one in _FIELDS_WITH_DETAIL)
            self._fail(token, f"only {fields} take 'name=value'. Put other text into quotes")
        if token.kind == "+":
            self._fail(token, "one + is enough here. A number limits the steps, as in key:a+2")
        self._fail(token, f"expected 'and', 'or' or the end, got {token.shown}")

    # The grammar.

    def _nested(self, parse_inner: Callable[[], expressions.Expression]) -> expressions.Expression:
        self._nesting += 1
        if self._nesting > _NESTING_MAX:
            self._fail(
                self._now, f"it is nested more than {_NESTING_MAX} deep. Take a part out of it"
            )
        inner = parse_inner()
        self._nesting -= 1
        return inner

    def _either(self) -> expressions.Expression:
        operands = [self._both()]
        while self._is_keyword("or"):
            self._take()
            operands.append(self._both())
        return expressions.either(operands)

    def _both(self) -> expressions.Expression:
        parsed = self._negation()
        while self._is_keyword("and"):
            self._take()
            negated = self._is_keyword("not")
            operand = self._negation()
            inverse = expressions.inverse_of(operand) if negated else None
            # `a and not b` takes b out of a, also where a names assets that are made elsewhere.
            if inverse is not None:
                parsed = expressions.Without(parsed, inverse.right)
            else:
                parsed = expressions.both(parsed, operand)
        return parsed

    def _negation(self) -> expressions.Expression:
        if not self._is_keyword("not"):
            return self._traversal()
        self._take()
        everything = expressions.Everything(self._include_sources)
        return expressions.Without(everything, self._nested(self._negation))

    def _traversal(self) -> expressions.Expression:
        depth_before = None
        if self._is_number() and self._next.kind == "+":
            depth_before = self._take()
        pluses_before = self._pluses()
        operand = self._operand()
        pluses_after = self._pluses()
        depth_after = self._take() if pluses_after and self._is_number() else None
        found: list[expressions.Expression] = []
        if pluses_before or operand.all_upstream:
            depth = self._depth(operand, pluses_before, depth_before, up=True)
            found.append(
                expressions.traversal(expressions.Direction.UPSTREAM, operand.expression, depth)
            )
        if pluses_after or operand.all_downstream:
            depth = self._depth(operand, pluses_after, depth_after, up=False)
            found.append(
                expressions.traversal(expressions.Direction.DOWNSTREAM, operand.expression, depth)
            )
        return expressions.either(found) if found else operand.expression

    def _is_number(self) -> bool:
        return self._now.kind == lexing.WORD and self._now.text.isdecimal()

    def _pluses(self) -> list[lexing.Token]:
        pluses: list[lexing.Token] = []
        while self._now.kind == "+":
            pluses.append(self._take())
        return pluses

    def _depth(
        self,
        operand: _Operand,
        pluses: list[lexing.Token],
        number: lexing.Token | None,
        *,
        up: bool,
    ) -> int | None:
        """Return how many steps are meant, None for all."""
        if operand.bare:
            if number is not None:
                example = f"{number.text}+key:..." if up else f"key:...+{number.text}"
                self._fail(
                    number, f"a number of steps needs a field before the key. Write {example}"
                )
            unlimited = operand.all_upstream if up else operand.all_downstream
            return None if unlimited else len(pluses)
        if len(pluses) > 1:
            steps = len(pluses)
            example = f"{steps}+key:..." if up else f"key:...+{steps}"
            self._fail(pluses[1], f"one + is all steps. Write {example} for {steps} of them")
        return None if number is None else int(number.text)

    def _operand(self) -> _Operand:
        token = self._now
        if token.kind == "(":
            self._take()
            return _Operand(self._until_closed(token))
        if token.kind == lexing.STRING:
            self._take()
            return _Operand(self._key(token), bare=True)
        if token.kind != lexing.WORD or token.text.lower() in _KEYWORDS:
            self._fail(
                token,
                "expected a selection (a key, 'field:value', '*' or a parenthesis), got "
                f"{token.shown}",
            )
        if self._next.kind == ":":
            return _Operand(self._attribute())
        if self._next.kind == "(":
            return _Operand(self._applied())
        self._take()
        if not token.text.strip("*"):
            return _Operand(expressions.Everything(self._include_sources))
        return self._bare_key(token)

    def _bare_key(self, token: lexing.Token) -> _Operand:
        key = token.text.strip("*")
        if "*" in key or key.endswith("/") or key.startswith("/"):
            pattern = lexing.quoted(token.text)
            self._fail(token, f"a pattern needs its field and quotes. Write key:{pattern}")
        return _Operand(
            expressions.Keys((self._read(token, asset_keys.AssetKey.from_user_string, key),)),
            bare=True,
            all_upstream=token.text.startswith("*"),
            all_downstream=token.text.endswith("*"),
        )

    def _until_closed(self, opening: lexing.Token) -> expressions.Expression:
        inner = self._nested(self._either)
        if self._now.kind == lexing.END:
            self._fail(opening, "the parenthesis that begins here has no end. Close it")
        if self._now.kind != ")":
            self._fail_after_operand()
        self._take()
        return inner

    def _applied(self) -> expressions.Expression:
        name = self._take()
        opening = self._take()
        if name.text == ALL_CHECKS and self._now.kind == ")":
            self._take()
            return expressions.AllChecks()
        if name.text == WITH_SOURCES:
            before, self._include_sources = self._include_sources, True
            inner = self._until_closed(opening)
            self._include_sources = before
            return inner
        function = _FUNCTIONS.get(name.text)
        if function is None:
            known = ", ".join(sorted((*_FUNCTIONS, WITH_SOURCES, ALL_CHECKS)))
            self._fail(name, f"there is no function {name.text!r}. There are {known}")
        return expressions.Applied(function, self._until_closed(opening))

    # Fields.

    def _attribute(self) -> expressions.Expression:
        field = self._take()
        self._take()
        if field.text not in _FIELDS:
            self._fail(
                field,
                f"there is no field {field.text!r}. There are {', '.join(sorted(_FIELDS))}. A key "
                "that holds a colon needs quotes",
            )
        value = self._value(field)
        detail = None
        if self._now.kind == "=" and field.text in _FIELDS_WITH_DETAIL:
            self._take()
            detail = self._value(field).text
        if field.text in expressions.HOST_FIELDS:
            told = None if value.kind == lexing.NULL else value.text
            return expressions.HostAttribute(field.text, told, detail)
        return self._own_attribute(field.text, value, detail or "")

    def _value(self, field: lexing.Token) -> lexing.Token:
        token = self._now
        if token.kind not in (lexing.WORD, lexing.STRING, lexing.NULL):
            self._fail(token, f"expected a value for {field.text}:, got {token.shown}")
        if token.kind == lexing.NULL and field.text not in _FIELDS_WITH_NULL:
            self._fail(token, f"{field.text}: takes no <null>. Put it into quotes if it is text")
        return self._take()

    def _own_attribute(
        self, field: str, value: lexing.Token, detail: str
    ) -> expressions.Expression:
        text, sources = value.text, self._include_sources
        told = None if value.kind == lexing.NULL else text
        found: expressions.Expression
        if field == "key":
            found = self._key(value)
        elif field == "key_prefix":
            parts = self._read(value, asset_keys.AssetKey.from_user_string, text).path
            found = expressions.KeyPrefixes((tuple(parts),), sources)
        elif field == "key_substring":
            found = expressions.KeySubstring(text, sources)
        elif field == "group":
            # Every asset is in a group.
            found = expressions.NOTHING if told is None else expressions.Groups((told,), sources)
        elif field == "tag":
            found = expressions.Tag(text, detail, sources)
        elif field == "owner":
            found = expressions.Owner(told)
        elif field == "kind":
            found = expressions.Kind(told, sources)
        else:
            key = self._read(value, asset_keys.AssetCheckKey.from_user_string, text)
            found = expressions.CheckKeys((key,))
        return found

    def _key(self, value: lexing.Token) -> expressions.Expression:
        if len(value.pieces) > 1:
            return expressions.KeyPattern(value.pieces)
        key = self._read(value, asset_keys.AssetKey.from_user_string, value.text)
        return expressions.Keys((key,))

    def _read(self, token: lexing.Token, read: Callable[[str], _T], text: str) -> _T:
        try:
            return read(text)
        except errors.InvalidDefinitionError as error:
            self._fail(token, f"{token.text!r} is no key. {str(error).rstrip('.')}")
