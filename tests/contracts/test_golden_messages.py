"""What was written when a message was new is read and written the same today.

`python -m tests.contracts` adds goldens of what is new. Never change those that are there.
"""

import copy

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool

from atoll.mesh.v1 import slots_pb2
from tests.contracts import goldens

SIZE_BYTES_MAX = 500_000
ADD = "Add goldens of what is new: python -m tests.contracts"
BREAKS = "These break whoever has the release before; add new fields instead:"


def told(rule, found):
    if found:
        pytest.fail("\n".join([rule, *found]), pytrace=False)


@pytest.mark.parametrize("package", goldens.PACKAGES)
def test_every_golden_is_read_and_written_as_it_was(package):
    known, found = goldens.messages(package), []
    for name, instances in goldens.stored(package)["messages"].items():
        if name not in known:
            found.append(f"{name} is gone")
            continue
        found += [text for one in instances for text in goldens.problems(one, known[name])]
    told(BREAKS, found)


@pytest.mark.parametrize("package", goldens.PACKAGES)
def test_every_field_of_every_message_has_a_golden(package):
    stored = goldens.stored(package)["messages"]
    found = [name for name in goldens.messages(package) if name not in stored]
    for name, one in goldens.messages(package).items():
        found += goldens.uncovered(one, stored.get(name, []))
    told(ADD, found)


@pytest.mark.parametrize("package", goldens.PACKAGES)
def test_enums_keep_their_names_and_numbers(package):
    stored, known = goldens.stored(package)["enums"], goldens.enums(package)
    changed = [
        f"{enum}.{name} = {number}"
        for enum, values in stored.items()
        for name, number in values.items()
        if known.get(enum, {}).get(name) != number
    ]
    told(BREAKS, changed)
    told(ADD, [enum for enum, values in known.items() if stored.get(enum) != values])


def test_what_is_stored_stays_small():
    assert sum(file.stat().st_size for file in goldens.FOLDER.iterdir()) < SIZE_BYTES_MAX


def test_there_are_goldens_of_no_other_package():
    assert {file.stem for file in goldens.FOLDER.iterdir()} == set(goldens.PACKAGES)


# That a break is seen, and that additions change nothing, on a copy of one message.

SLOT = "atoll.mesh.v1.WaitingSlot"


def read_with(change):
    """Read the goldens of a message with a changed contract; return what is wrong then."""
    file = descriptor_pb2.FileDescriptorProto()
    slots_pb2.DESCRIPTOR.CopyToProto(file)
    one = next(each for each in file.message_type if f"{file.package}.{each.name}" == SLOT)
    change(one)
    pool = descriptor_pool.DescriptorPool()
    for needed in slots_pb2.DESCRIPTOR.dependencies:
        pool.AddSerializedFile(needed.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    instances = goldens.stored("atoll.mesh.v1")["messages"][SLOT]
    changed = pool.FindMessageTypeByName(SLOT)
    return [text for golden in instances for text in goldens.problems(golden, changed)]


def removed(one):
    del one.field[1]


def renumbered(one):
    one.field[1].number = 40


def renamed(one):
    one.field[1].name = "of_pool"


def retyped(one):
    one.field[1].type = descriptor_pb2.FieldDescriptorProto.TYPE_SINT64


def widened(one):
    one.field[2].type = descriptor_pb2.FieldDescriptorProto.TYPE_INT64


def swapped(one):
    one.field[0].number, one.field[1].number = one.field[1].number, one.field[0].number


@pytest.mark.parametrize("change", [removed, renumbered, renamed, retyped, widened, swapped])
def test_a_field_that_changes_is_found(change):
    assert any("was" in text for text in read_with(change))


def test_a_field_that_is_added_changes_no_golden_and_gets_one():
    def added(one):
        one.field.add(
            name="more",
            number=40,
            type=descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
            label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
        )

    assert read_with(added) == []


def test_adding_keeps_what_is_stored_and_fills_only_what_is_new():
    package = "atoll.mesh.v1"
    complete = goldens.stored(package)
    assert goldens.added(package, complete) == complete

    before = copy.deepcopy(complete)
    (golden,) = before["messages"][SLOT]
    golden["values"].pop("pool")
    del before["messages"]["atoll.mesh.v1.Ping"]
    after = goldens.added(package, before)
    assert after["messages"][SLOT][0] == golden
    (new,) = after["messages"][SLOT][1:]
    assert list(new["values"]) == ["pool"]
    assert after["messages"]["atoll.mesh.v1.Ping"] == complete["messages"]["atoll.mesh.v1.Ping"]
