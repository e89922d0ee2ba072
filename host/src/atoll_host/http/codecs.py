"""Reads and writes messages: JSON as protobuf defines it, strictly, and the binary form.

Given to the Connect application by `endpoints`. What cannot be read is refused with what was wrong
and never becomes an error of the server: fields that nobody knows, values of the wrong type, keys
that come twice, nesting that is too deep. Pure.
"""

import json
from typing import Any, Final, NoReturn, TypeVar, cast

from connectrpc import codec
from google.protobuf import json_format, message

from atoll_host.http import problems

DEPTH_MAX: Final = 64
"""How deep a request may be nested."""

_M = TypeVar("_M", bound=message.Message)
_SHOWN_MAX: Final = 300

# All that the parsers raise on what people send; what else they raise is a fault of ours.
_UNREADABLE: Final = (json_format.Error, ValueError, TypeError, RecursionError, OverflowError)


class JsonCodec(codec.Codec[Any, Any]):
    """JSON in UTF-8. Fields with default values are left out of answers, as protobuf does."""

    def name(self) -> str:
        """Return what the content type calls it."""
        return "json"

    def encode(self, message: message.Message) -> bytes:
        """Write an answer."""
        found = json_format.MessageToDict(message)
        return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()

    def decode(self, data: bytes | bytearray, message_class: type[_M]) -> _M:
        """Read a request.

        Raises:
            connectrpc.errors.ConnectError: It is no JSON, or not what the message holds.
        """
        made = message_class()
        try:
            json_format.ParseDict(_document(bytes(data)), made, max_recursion_depth=DEPTH_MAX)
        except _UNREADABLE as error:
            told = problems.invalid(
                f"This is no {message_class.DESCRIPTOR.name}: {_why(error)} "
                "/openapi.json describes every field."
            )
            raise problems.connect_error(told) from error
        return made


class BinaryCodec(codec.Codec[Any, Any]):
    """The binary form of protobuf."""

    def name(self) -> str:
        """Return what the content type calls it."""
        return "proto"

    def encode(self, message: message.Message) -> bytes:
        """Write an answer."""
        return message.SerializeToString()

    def decode(self, data: bytes | bytearray, message_class: type[_M]) -> _M:
        """Read a request.

        Raises:
            connectrpc.errors.ConnectError: It is not the message.
        """
        try:
            return message_class.FromString(bytes(data))
        except message.DecodeError as error:
            told = problems.invalid(
                f"This is no {message_class.DESCRIPTOR.name} in the binary form of protobuf. "
                "Check what encodes it, or send JSON with the content type application/json."
            )
            raise problems.connect_error(told) from error


def _document(data: bytes) -> dict[str, Any]:
    """Return the object that a JSON text is."""
    found: Any = json.loads(
        data.decode("utf-8"), object_pairs_hook=_once_each, parse_constant=_no_number
    )
    if not isinstance(found, dict):
        raise ValueError("it has to be an object. Send {} where there is nothing to say.")  # noqa: TRY004 - what was sent is wrong, not a type of ours
    return cast("dict[str, Any]", found)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it has the key {twice[:_SHOWN_MAX]!r} twice.")
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON.")


def _why(error: Exception) -> str:
    """Say in a sentence what a parser found wrong."""
    if isinstance(error, json.JSONDecodeError):
        return f"no JSON at line {error.lineno}, column {error.colno}: {error.msg}."
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start} is not UTF-8."
    if isinstance(error, UnicodeEncodeError):
        return "a text has half a surrogate pair, which is no character."
    if isinstance(error, RecursionError):
        return f"it is nested deeper than {DEPTH_MAX} levels."
    # What was sent is quoted by the parsers: repr() leaves no control character in a message.
    told = str(error).replace("\n", " ").strip()
    if len(told) > _SHOWN_MAX:
        told = told[:_SHOWN_MAX] + "…"
    told = told.encode("utf-8", "replace").decode()
    return told if told.endswith((".", "…")) else f"{told}."
