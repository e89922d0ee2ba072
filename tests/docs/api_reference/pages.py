"""The pages of the reference, as Markdown."""

from collections.abc import Mapping, Sequence
from typing import cast

from google.protobuf import descriptor_pb2

from atoll.rpc.v1 import access_pb2
from tests.docs.api_reference import contract

FOLDER = contract.REPOSITORY / "docs/api/reference"
INDEX = "README.md"

_Proto = descriptor_pb2.FieldDescriptorProto
_ROLES: Mapping[int, str] = {
    access_pb2.ROLE_VIEWER: "viewer",
    access_pb2.ROLE_LAUNCHER: "launcher",
    access_pb2.ROLE_OPERATOR: "operator",
    access_pb2.ROLE_ADMIN: "admin",
    access_pb2.ROLE_ANYONE: "anyone, without credentials",
}
_MADE = "Made from the protos by `python -m tests.docs.api_reference`: change the comments there."


class _Links:
    """Where each message and enum is described."""

    def __init__(self, files: Sequence[contract.File], needed: set[str]) -> None:
        self._pages = {
            name: page_name(file)
            for file in files
            for name in (*file.messages, *file.enums)
            if name in needed
        }

    def to(self, type_name: str, page: str) -> str:
        name = type_name.lstrip(".")
        short = name.rpartition(".")[2]
        if name.startswith("google."):
            return f"`{name}`"
        target = self._pages[name]
        if target == page:
            return f"[{short}](#{short.lower()})"
        up = "../" * page.count("/")
        return f"[{short}]({up}{target}#{short.lower()})"


def pages(files: Sequence[contract.File]) -> dict[str, str]:
    """Return the text of every page, by its path in the folder."""
    needed = contract.needed(files)
    links = _Links(files, needed)
    made = {INDEX: _index(files)}
    for file in files:
        if file.package == contract.API_PACKAGE or needed & {*file.messages, *file.enums}:
            made[page_name(file)] = _page(file, needed, links)
    return made


def page_name(file: contract.File) -> str:
    """Return the path of a file's page: services at the top, what they share below ``types``."""
    stem = file.name.rpartition("/")[2].removesuffix(".proto")
    if file.package == contract.API_PACKAGE:
        return f"{stem}.md"
    return f"types/{file.package.split('.')[1]}-{stem}.md"


def _index(files: Sequence[contract.File]) -> str:
    lines = [
        "# Reference of the API",
        "",
        _MADE,
        "",
        "Every call goes over gRPC, and over HTTP with JSON: `POST /<service>/<method>` with the",
        "request as the body. How to connect, how errors look and how lists and watches go on is",
        "on the page [before this](../README.md).",
        "",
        "| service | calls |",
        "|---|---|",
    ]
    for file in files:
        for service in file.services:
            if file.package == contract.API_PACKAGE:
                calls = ", ".join(
                    f"[{one.proto.name}]({page_name(file)}#{one.proto.name.lower()})"
                    for one in service.methods
                )
                name = service.full_name.rpartition(".")[2]
                lines.append(f"| [{name}]({page_name(file)}) | {calls} |")
    return "\n".join([*lines, ""])


def _page(file: contract.File, needed: set[str], links: _Links) -> str:
    page = page_name(file)
    title = file.services[0].full_name if file.services else file.name
    lines = [f"# {title.rpartition('.')[2] if file.services else file.name}", "", file.comment, ""]
    shown: set[str] = set()
    if file.package == contract.API_PACKAGE:
        for service in file.services:
            lines += [service.comment, ""]
            for method in service.methods:
                lines += _method(service, method, file, links)
                shown |= {method.proto.input_type.lstrip("."), method.proto.output_type.lstrip(".")}
    for name, message in file.messages.items():
        if name in needed:
            lines += _message(message, page, links)
    for name, enum in file.enums.items():
        if name in needed:
            lines += _enum(enum)
    return "\n".join(lines).rstrip() + "\n"


def _method(
    service: contract.Service, method: contract.Method, file: contract.File, links: _Links
) -> list[str]:
    page = page_name(file)
    proto = method.proto
    stream = "a stream of " if proto.server_streaming else ""
    asked = links.to(proto.input_type, page)
    answered = links.to(proto.output_type, page)
    return [
        f"## {proto.name}",
        "",
        method.comment,
        "",
        f"- `{service.full_name}/{proto.name}`: {asked} is answered by {stream}{answered}.",
        f"- Needs the role {_access(proto)}",
        "",
    ]


def _access(proto: descriptor_pb2.MethodDescriptorProto) -> str:
    rule = proto.options.Extensions[access_pb2.access]
    role = _ROLES[rule.role]
    named = [
        *(f"the location in `{path}`" for path in rule.location_fields),
        *(f"the location of what `{path}` names" for path in rule.asset_fields),
        *(f"the location of the run in `{path}`" for path in rule.run_fields),
        *(f"the locations of the backfill in `{path}`" for path in rule.backfill_fields),
    ]
    parts: list[str] = []
    if named:
        parts.append(f"**{role}** of {' and '.join(named)}.")
    elif rule.reach == access_pb2.REACH_ALL:
        parts.append(f"**{role}** of all locations.")
    elif rule.reach == access_pb2.REACH_ANY:
        parts.append(f"**{role}** of any location.")
    elif rule.reach == access_pb2.REACH_SERVICER:
        parts.append(f"**{role}** of the location that it is about.")
    else:
        parts.append(f"**{role}**.")
    if rule.answer_fields and not named:
        parts.append("The answer leaves out what the caller may not see.")
    elif rule.answer_fields:
        parts.append("Where none is named, the answer leaves out what the caller may not see.")
    if rule.changes:
        parts.append("It is in the audit log.")
    return " ".join(parts)


def _message(message: contract.Message, page: str, links: _Links) -> list[str]:
    lines = [f"### {message.full_name.rpartition('.')[2]}", "", message.comment, ""]
    if not message.fields:
        return [*lines, "No fields.", ""]
    lines += ["| field | type | |", "|---|---|---|"]
    for field in message.fields:
        comment = field.comment
        if field.proto.HasField("oneof_index") and not field.proto.proto3_optional:
            comment = f"({message.one_ofs[field.proto.oneof_index]}) {comment}"
        kind = _kind(field, page, links)
        lines.append(f"| `{field.proto.name}` | {kind} | {_cell(comment)} |")
    return [*lines, ""]


def _enum(enum: contract.Enum) -> list[str]:
    return [
        f"### {enum.full_name.rpartition('.')[2]}",
        "",
        enum.comment,
        "",
        "| value | number | |",
        "|---|---|---|",
        *(f"| `{name}` | {number} | {_cell(comment)} |" for name, number, comment in enum.values),
        "",
    ]


def _kind(field: contract.Field, page: str, links: _Links) -> str:
    if field.key_and_value:
        key, value = field.key_and_value
        return f"map of {_scalar(key, page, links)} to {_scalar(value, page, links)}"
    kind = _scalar(field.proto, page, links)
    if field.proto.label == _Proto.LABEL_REPEATED:
        return f"list of {kind}"
    return f"optional {kind}" if field.proto.proto3_optional else kind


def _scalar(proto: descriptor_pb2.FieldDescriptorProto, page: str, links: _Links) -> str:
    if proto.type_name:
        return links.to(proto.type_name, page)
    kinds = cast("Mapping[int, str]", {number: name for name, number in _Proto.Type.items()})
    return kinds[proto.type].removeprefix("TYPE_").lower()


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
