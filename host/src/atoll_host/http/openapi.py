"""Describes the API as OpenAPI 3.1, from the descriptors of what is served.

Called by `pages`, once. Pure. What the protos say of a thing is its description; who may call an
rpc comes from its rule.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib import parse

from google.protobuf import descriptor

from atoll.rpc.v1 import access_pb2
from atoll_host.http import calls, endpoints, examples, lines, problems, schemas

_JSON: Final = "application/json"
_ABOUT: Final = """\
Calls are made by the Connect protocol: `POST /<service>/<rpc>` with the request as JSON; what only
reads is called with `GET` too. Rpcs that stream answer with a line of JSON for each message. Names
of fields are taken as `camelCase` and as `snake_case`; a field that is not there is refused. In
answers, fields with default values (empty, zero, false) are left out. Numbers of 64 bits are texts.

`Connect-Timeout-Ms` bounds the time of a call. Errors have a `code`, a `message` that says what to
do, and a detail with the reason for programs.
"""
_STATUSES: Final[Mapping[str, str]] = {
    "400": "The request is wrong: what, and what to do, is in the message.",
    "401": "There are no credentials, or they are not good.",
    "403": "The caller may not make this call, or the page that made it may not.",
    "404": "What the request names is not there.",
    "409": "What the request would make is there already, or somebody else was faster.",
    "413": "The request is too long.",
    "415": "The content type is none that is taken.",
    "429": "A bound was reached. Later it may work.",
    "503": "The host cannot answer now. Try again.",
    "504": "There was no answer in the given time.",
}
_ROLES: Final[Mapping[int, str]] = {
    access_pb2.ROLE_VIEWER: "viewer",
    access_pb2.ROLE_LAUNCHER: "launcher",
    access_pb2.ROLE_OPERATOR: "operator",
    access_pb2.ROLE_ADMIN: "admin",
    access_pb2.ROLE_LOCATION: "location",
    access_pb2.ROLE_HOST: "host",
}
_ERROR: Final[schemas.Schema] = {
    "type": "object",
    "description": "What went wrong.",
    "properties": {
        "code": {
            "type": "string",
            "description": "The status of gRPC, in small letters.",
            "enum": sorted(code.value for code in problems.CODES.values()),
        },
        "message": {
            "type": "string",
            "description": "What was wrong, with which value, and what to do.",
        },
        "details": {
            "type": "array",
            "description": "One detail, which tells the cause to programs.",
            "items": {
                "type": "object",
                "properties": {
                    "type": {"type": "string", "const": "google.rpc.ErrorInfo"},
                    "value": {"type": "string", "description": "The detail in binary, as base64."},
                    "debug": {
                        "type": "object",
                        "description": "The detail as JSON.",
                        "properties": {
                            "reason": {"type": "string", "pattern": "^[A-Z][A-Z0-9_]*$"},
                            "domain": {"type": "string", "const": "atoll"},
                            "metadata": {
                                "type": "object",
                                "additionalProperties": {"type": "string"},
                            },
                        },
                        "required": ["reason", "domain", "metadata"],
                    },
                },
                "required": ["type", "value"],
            },
        },
    },
    "required": ["code", "message"],
}


def document(
    methods: Iterable[descriptor.MethodDescriptor],
    comments: Mapping[str, str],
    *,
    version: str,
    credentials_required: bool,
) -> dict[str, Any]:
    """Return the description of an API.

    Args:
        methods: What is served.
        comments: The comments of the protos by full names.
        version: The version of the distribution.
        credentials_required: Whether calls need credentials.
    """
    found = schemas.Schemas(comments)
    paths: dict[str, Any] = {}
    tags: dict[str, str] = {}
    for method in methods:
        service = method.containing_service
        tags[service.name] = comments.get(service.full_name, "")
        operations = {"post": _post(method, comments, found)}
        if endpoints.is_read(method) and not method.server_streaming:
            operations["get"] = _get(method, comments, found)
        paths[calls.path_of(method)] = operations
    anonymous: list[dict[str, list[str]]] = [] if credentials_required else [{}]
    return {
        "openapi": "3.1.0",
        "info": {"title": "Atoll", "version": version, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"mutualTLS": []}, *anonymous],
        "tags": [{"name": name, "description": said} for name, said in sorted(tags.items())],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {"Error": _ERROR, **dict(sorted(found.found.items()))},
            "responses": {
                status: {"description": said, "content": {_JSON: {"schema": _ref("Error")}}}
                for status, said in _STATUSES.items()
            },
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token, which begins with `atoll_`.",
                },
                "mutualTLS": {"type": "mutualTLS", "description": "A certificate of the client."},
            },
        },
    }


def _post(
    method: descriptor.MethodDescriptor, comments: Mapping[str, str], found: schemas.Schemas
) -> dict[str, Any]:
    body: dict[str, Any] = {"schema": found.of(method.input_type)}
    example = examples.REQUESTS.get(method.full_name)
    if example is not None:
        body["example"] = example
    return {
        **_about(method, comments),
        "operationId": f"{method.containing_service.name}_{method.name}",
        "requestBody": {"required": True, "content": {_JSON: body}},
        "responses": _responses(method, found),
    }


def _get(
    method: descriptor.MethodDescriptor, comments: Mapping[str, str], found: schemas.Schemas
) -> dict[str, Any]:
    message: dict[str, Any] = {"schema": found.of(method.input_type)}
    example = examples.REQUESTS.get(method.full_name, {})
    message["example"] = example
    shown = parse.urlencode({"encoding": "json", "message": json.dumps(example)})
    about = _about(method, comments)
    return {
        **about,
        "description": f"{about['description']}\n\nSuch as `{calls.path_of(method)}?{shown}`.",
        "operationId": f"{method.containing_service.name}_{method.name}_get",
        "parameters": [
            {
                "name": "encoding",
                "in": "query",
                "required": True,
                "schema": {"type": "string", "enum": ["json"]},
            },
            {
                "name": "message",
                "in": "query",
                "required": True,
                "description": "The request, as JSON.",
                "content": {_JSON: message},
            },
        ],
        "responses": _responses(method, found),
    }


def _about(method: descriptor.MethodDescriptor, comments: Mapping[str, str]) -> dict[str, Any]:
    said = comments.get(method.full_name, "")
    rule = method.GetOptions().Extensions[access_pb2.access]
    role = _ROLES.get(rule.role)
    about: dict[str, Any] = {
        "tags": [method.containing_service.name],
        "summary": said.partition(". ")[0].removesuffix("."),
        "description": f"{said}\n\nNeeds the role {role}." if role else said,
    }
    if role is None:
        about["security"] = []
    return about


def _responses(method: descriptor.MethodDescriptor, found: schemas.Schemas) -> dict[str, Any]:
    kind = lines.CONTENT_TYPE if method.server_streaming else _JSON
    answer: dict[str, Any] = {
        "description": "A message a line." if method.server_streaming else "The answer.",
        "content": {kind: {"schema": found.of(method.output_type)}},
    }
    others = {status: {"$ref": f"#/components/responses/{status}"} for status in _STATUSES}
    return {"200": answer, **others}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
