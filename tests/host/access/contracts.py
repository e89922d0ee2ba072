"""Every rpc that a host serves, and requests for them, made from the descriptors alone."""

import importlib
import pkgutil

from google.protobuf import descriptor, message, message_factory

import atoll.api.v1
import atoll.mesh.v1
import atoll.rpc.v1
from atoll.definitions.v1 import conditions_pb2, values_pb2
from atoll.rpc.v1 import access_pb2


def methods() -> list[descriptor.MethodDescriptor]:
    """Return every rpc that a host serves."""
    return [
        method
        for package in (atoll.api.v1, atoll.mesh.v1, atoll.rpc.v1)
        for module in pkgutil.iter_modules(package.__path__)
        if module.name.endswith("_pb2")
        for service in importlib.import_module(
            f"{package.__name__}.{module.name}"
        ).DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]


def rule(method: descriptor.MethodDescriptor) -> access_pb2.Access:
    """Return what the contract says of who may call."""
    return method.GetOptions().Extensions[access_pb2.access]


def request(method: descriptor.MethodDescriptor) -> message.Message:
    """Return an empty request."""
    return message_factory.GetMessageClass(method.input_type)()


def fill(into: message.Message, path: str, value) -> None:
    """Set the field at a path: a text, or what a message that names an asset is made of."""
    *parents, last = path.split(".")
    for name in parents:
        child = getattr(into, name)
        into = child.add() if hasattr(child, "add") else child
    field = into.DESCRIPTOR.fields_by_name[last]
    child = getattr(into, last)
    if field.message_type is None:
        if isinstance(child, str):
            setattr(into, last, value)
        else:
            child.append(value)
        return
    subject = child.add() if hasattr(child, "add") else child
    key = values_pb2.AssetKey(path=[value])
    if isinstance(subject, values_pb2.AssetKey):
        subject.CopyFrom(key)
    elif isinstance(subject, values_pb2.AssetCheckKey):
        subject.CopyFrom(values_pb2.AssetCheckKey(asset_key=key, name="check"))
    else:
        assert isinstance(subject, conditions_pb2.ConditionEntity)
        subject.CopyFrom(conditions_pb2.ConditionEntity(asset=key))


def texts(answer: message.Message, path: str) -> list[set[str]]:
    """Return, for each element of the outermost list on a path, the texts at its end."""
    name, _, rest = path.partition(".")
    value = getattr(answer, name)
    if isinstance(value, str):
        return [{value}]
    if isinstance(value, message.Message):
        return texts(value, rest)
    if not rest:
        return [set(value)]
    return [set().union(*texts(each, rest)) for each in value]
