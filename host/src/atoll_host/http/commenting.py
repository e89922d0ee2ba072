"""The comments of the protos, which descriptors at run time no longer have.

`make generate` writes them into comments.json, one a line, from a descriptor set with source
information; `openapi` shows them. Run as a program: the descriptor set comes as the argument, the
comments go to standard output.
"""

import functools
import json
import pathlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, cast

from google.protobuf import descriptor_pb2

_FILE: Final = "comments.json"
# What is never said over HTTP needs no comment there.
_LEFT_OUT: Final = "atoll.process"

# The numbers of fields in descriptor.proto, which paths of source information are made of.
_OF_FILE: Final = {"message_type": 4, "enum_type": 5, "service": 6}
_OF_MESSAGE: Final = {"field": 2, "nested_type": 3, "enum_type": 4}
_OF_ENUM: Final = {"value": 2}
_OF_SERVICE: Final = {"method": 2}
_CHILDREN: Final[Mapping[str, Mapping[str, int]]] = {
    "message_type": _OF_MESSAGE,
    "nested_type": _OF_MESSAGE,
    "enum_type": _OF_ENUM,
    "service": _OF_SERVICE,
}


@functools.cache
def load() -> Mapping[str, str]:
    """Return the comments by the full names of what they are about."""
    text = pathlib.Path(__file__).with_name(_FILE).read_text(encoding="utf-8")
    return cast("dict[str, str]", json.loads(text))


def read(found: descriptor_pb2.FileDescriptorSet) -> dict[str, str]:
    """Return the comments in a descriptor set. Pure."""
    comments: dict[str, str] = {}
    for file in found.file:
        if not f"{file.package}.".startswith("atoll.") or file.package.startswith(_LEFT_OUT):
            continue
        said = {
            tuple(place.path): " ".join(place.leading_comments.split())
            for place in file.source_code_info.location
            if place.leading_comments
        }
        for path, name in _named(file, _OF_FILE, (), file.package):
            if path in said:
                comments[name] = said[path]
    return dict(sorted(comments.items()))


def _named(
    of: Any, kinds: Mapping[str, int], path: Sequence[int], name: str
) -> Iterator[tuple[tuple[int, ...], str]]:
    """Yield everything below something with its path and its full name."""
    for kind, number in kinds.items():
        for index, child in enumerate(getattr(of, kind)):
            below = (*path, number, index)
            full = f"{name}.{child.name}"
            yield below, full
            yield from _named(child, _CHILDREN.get(kind, {}), below, full)


def main() -> None:
    """Write the comments of a descriptor set."""
    data = pathlib.Path(sys.argv[1]).read_bytes()
    comments = read(descriptor_pb2.FileDescriptorSet.FromString(data))
    json.dump(comments, sys.stdout, indent=0, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
