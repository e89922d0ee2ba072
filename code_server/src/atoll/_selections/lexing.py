"""The words of a selection's text, and where they stand.

Called by the parser alone. Knows quotes, escapes and stars, and nothing of what words mean.
"""

import re
from typing import NamedTuple, NoReturn

from atoll import errors

WORD, STRING, NULL, END = "word", "string", "null", "end"
_NULL_TEXT = "<null>"
_SIGNS = "+():="
_QUOTES = "\"'"
_WORD = re.compile(r"""[^\s+():="'<>,]+""")
_ESCAPED = "\"'\\*"


class Token(NamedTuple):
    """A word of the text.

    Attributes:
        kind: `word`, `string`, `null`, `end`, or the sign itself.
        text: What it says, without quotes and escapes.
        start: Where it begins in the text.
        end: Where what follows begins.
        pieces: The text between the stars that stand for anything.
    """

    kind: str
    text: str
    start: int
    end: int
    pieces: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The word as an error message names it."""
        return "the end" if self.kind == END else repr(self.text)


def tokens_of(text: str) -> list[Token]:
    """Take a text apart.

    Args:
        text: The text of a selection.

    Returns:
        Its words; the last one is the end.

    Raises:
        InvalidAssetSelectionError: There is a character that begins no word, or a quote without an
            end.
    """
    tokens: list[Token] = []
    position = 0
    while position < len(text):
        if text[position].isspace():
            position += 1
            continue
        token = _token_at(text, position)
        tokens.append(token)
        position = token.end
    tokens.append(Token(END, "", len(text), len(text)))
    return tokens


def _token_at(text: str, start: int) -> Token:
    character = text[start]
    if character in _SIGNS:
        return Token(character, character, start, start + 1)
    if character in _QUOTES:
        return _string_at(text, start)
    if text.startswith(_NULL_TEXT, start):
        return Token(NULL, _NULL_TEXT, start, start + len(_NULL_TEXT))
    match = _WORD.match(text, start)
    if match is None:
        advice = (
            "Write 'or' between selections, or give a list of them"
            if character == ","
            else "Put text that holds it into quotes"
        )
        fail(text, start, f"{character!r} means nothing here. {advice}")
    word = match[0]
    return Token(WORD, word, start, match.end(), tuple(word.split("*")))


def _string_at(text: str, start: int) -> Token:
    quote = text[start]
    pieces = [""]
    whole = ""
    position = start + 1
    while position < len(text) and text[position] != quote:
        character = text[position]
        if character == "\\" and text[position + 1 : position + 2] in (*_ESCAPED,):
            position += 1
            character = text[position]
            pieces[-1] += character
        elif character == "*":
            pieces.append("")
        else:
            pieces[-1] += character
        whole += character
        position += 1
    if position >= len(text):
        fail(text, start, f"the quote {quote} that begins here has no end. Close it")
    return Token(STRING, whole, start, position + 1, tuple(pieces))


def quoted(text: str, *, literal_stars: bool = False) -> str:
    """Write a text in quotes, so that reading it gives the same.

    Args:
        text: The text.
        literal_stars: Whether stars stand for themselves where they could stand for anything.

    Returns:
        The text in double quotes.
    """
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped.replace("*", chr(92) + "*") if literal_stars else escaped}"'


def fail(text: str, position: int, what: str) -> NoReturn:
    """Say what cannot be read, and point at it.

    Args:
        text: The whole text.
        position: Where in the text.
        what: What is wrong there and what to do, without the last full stop.

    Raises:
        InvalidAssetSelectionError: Always.
    """
    line_start = text.rfind("\n", 0, position) + 1
    line = text[line_start:].partition("\n")[0].replace("\t", " ")
    raise errors.InvalidAssetSelectionError(
        f"The selection {text!r} cannot be read at column {position + 1}: {what}.\n"
        f"  {line}\n  {' ' * (position - line_start)}^",
        text,
        position + 1,
    )
