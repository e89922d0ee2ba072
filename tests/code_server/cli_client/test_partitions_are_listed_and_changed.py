"""`atoll partitions` against a scripted host: what it prints and what it sends."""

import json

from atoll._cli import partitions


def test_keys_are_listed_in_the_order_of_adding(host, say):
    host.add_partitions("customers", ["b", "a"])
    lines = say(partitions.partitions, "list", "customers").output.splitlines()
    assert [line.split()[0] for line in lines] == ["PARTITION", "b", "a"]
    document = json.loads(say(partitions.partitions, "list", "customers", "--json").output)
    assert [one["partition_key"] for one in document["partitions"]] == ["b", "a"]
    assert document["partitions"][0]["create_time"] == "2026-01-02T03:04:05.000000Z"


def test_a_limit_is_kept(host, say):
    host.add_partitions("customers", ["b", "a", "c"])
    result = say(partitions.partitions, "list", "customers", "--limit", "2")
    assert len(result.output.splitlines()) == 3


def test_no_keys_are_told(say):
    assert say(partitions.partitions, "list", "x").output == "x has no partitions yet.\n"


def test_adding_and_deleting_tell_how_many(host, say):
    host.add_partitions("customers", ["a"])
    added = say(partitions.partitions, "add", "customers", "a", "b", "c")
    assert added.output == "Added 2 partitions of customers.\n"
    deleted = say(partitions.partitions, "delete", "customers", "b", "x")
    assert deleted.output == "Deleted 1 partition of customers.\n"
    again = say(partitions.partitions, "delete", "customers", "b", "--json")
    assert json.loads(again.output) == {"deleted_count": 0}
    assert host.partitions["customers"] == ["a", "c"]
    assert len(set(host.request_ids)) == 3


def test_a_lost_answer_is_asked_for_again_with_the_same_request_id(host, say):
    host.partition_answers_lost = 1
    result = say(partitions.partitions, "add", "customers", "a")
    assert result.exit_code == 0
    first, second = host.request_ids
    assert first == second


def test_keys_must_be_given(say):
    assert say(partitions.partitions, "add", "customers").exit_code == 2
