"""The contract of the API as the protos write it, comments included."""

import dataclasses
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence

from google.protobuf import descriptor_pb2

REPOSITORY = pathlib.Path(__file__).parents[3]
API_PACKAGE = "atoll.api.v1"

# The numbers of fields in descriptor.proto, of which the paths of comments are made.
_MESSAGES, _ENUMS, _SERVICES = 4, 5, 6
_FIELDS, _NESTED_MESSAGES, _NESTED_ENUMS = 2, 3, 4
_VALUES = 2
_METHODS = 2

_Path = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Field:
    """A field of a message.

    Attributes:
        proto: What the proto says of it.
        comment: Its comment.
        key_and_value: The entry's fields where it is a map.
    """

    proto: descriptor_pb2.FieldDescriptorProto
    comment: str
    key_and_value: tuple[descriptor_pb2.FieldDescriptorProto, ...] = ()


@dataclasses.dataclass(frozen=True)
class Message:
    """A message."""

    full_name: str
    comment: str
    fields: tuple[Field, ...]
    one_ofs: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Enum:
    """An enum; its values with their comments."""

    full_name: str
    comment: str
    values: tuple[tuple[str, int, str], ...]


@dataclasses.dataclass(frozen=True)
class Method:
    """An rpc."""

    proto: descriptor_pb2.MethodDescriptorProto
    comment: str


@dataclasses.dataclass(frozen=True)
class Service:
    """A service."""

    full_name: str
    comment: str
    methods: tuple[Method, ...]


@dataclasses.dataclass
class File:
    """A proto file, with everything in it in the order of the file."""

    name: str
    package: str
    comment: str
    services: list[Service] = dataclasses.field(default_factory=list[Service])
    messages: dict[str, Message] = dataclasses.field(default_factory=dict[str, Message])
    enums: dict[str, Enum] = dataclasses.field(default_factory=dict[str, Enum])


def read() -> list[File]:
    """Return the files of the contract, as buf compiles them."""
    with tempfile.NamedTemporaryFile(suffix=".binpb") as image:
        command = [
            str(pathlib.Path(sys.executable).parent / "buf"),
            *("build", "--as-file-descriptor-set", "-o", image.name),
        ]
        subprocess.run(command, check=True, cwd=REPOSITORY, timeout=60)
        compiled = descriptor_pb2.FileDescriptorSet.FromString(
            pathlib.Path(image.name).read_bytes()
        )
    return [_file(file) for file in compiled.file if file.package.startswith("atoll.")]


def _file(proto: descriptor_pb2.FileDescriptorProto) -> File:
    comments = {
        tuple(location.path): _joined(location.leading_comments)
        for location in proto.source_code_info.location
    }
    # The comment that a file opens with stands before its `syntax`.
    made = File(proto.name, proto.package, comments.get((12,), ""))
    for number, service in enumerate(proto.service):
        path = (_SERVICES, number)
        methods = tuple(
            Method(method, comments.get((*path, _METHODS, index), ""))
            for index, method in enumerate(service.method)
        )
        full_name = f"{proto.package}.{service.name}"
        made.services.append(Service(full_name, comments.get(path, ""), methods))
    _read_enums(made, proto.package, proto.enum_type, (_ENUMS,), comments)
    for number, message in enumerate(proto.message_type):
        _read_message(made, proto.package, message, (_MESSAGES, number), comments)
    return made


def _read_message(
    file: File,
    scope: str,
    message: descriptor_pb2.DescriptorProto,
    path: _Path,
    comments: dict[_Path, str],
) -> None:
    full_name = f"{scope}.{message.name}"
    entries = {
        f".{full_name}.{nested.name}": tuple(nested.field)
        for nested in message.nested_type
        if nested.options.map_entry
    }
    fields = tuple(
        Field(field, comments.get((*path, _FIELDS, index), ""), entries.get(field.type_name, ()))
        for index, field in enumerate(message.field)
    )
    one_ofs = tuple(one.name for one in message.oneof_decl)
    file.messages[full_name] = Message(full_name, comments.get(path, ""), fields, one_ofs)
    _read_enums(file, full_name, message.enum_type, (*path, _NESTED_ENUMS), comments)
    for number, nested in enumerate(message.nested_type):
        if not nested.options.map_entry:
            inner = (*path, _NESTED_MESSAGES, number)
            _read_message(file, full_name, nested, inner, comments)


def _read_enums(
    file: File,
    scope: str,
    enums: Sequence[descriptor_pb2.EnumDescriptorProto],
    path: _Path,
    comments: dict[_Path, str],
) -> None:
    for number, enum in enumerate(enums):
        values = tuple(
            (value.name, value.number, comments.get((*path, number, _VALUES, index), ""))
            for index, value in enumerate(enum.value)
        )
        full_name = f"{scope}.{enum.name}"
        file.enums[full_name] = Enum(full_name, comments.get((*path, number), ""), values)


def needed(files: Sequence[File]) -> set[str]:
    """Return the messages and enums that the API speaks of, whatever their package."""
    messages = {name: message for file in files for name, message in file.messages.items()}
    waiting = [
        name
        for file in files
        if file.package == API_PACKAGE
        for service in file.services
        for method in service.methods
        for name in (method.proto.input_type, method.proto.output_type)
    ]
    found: set[str] = set()
    while waiting:
        name = waiting.pop().lstrip(".")
        if name in found:
            continue
        found.add(name)
        if name in messages:
            waiting += _types_of(messages[name])
    return found


def _types_of(message: Message) -> Iterator[str]:
    for field in message.fields:
        for proto in (field.proto, *field.key_and_value):
            if proto.type_name:
                yield proto.type_name


def _joined(comment: str) -> str:
    return " ".join(line.strip() for line in comment.strip().splitlines())
