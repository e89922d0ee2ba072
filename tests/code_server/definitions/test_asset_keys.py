import copy
import pickle

import pytest

import atoll as dg


def test_a_string_is_a_key_of_one_part():
    assert dg.AssetKey("a") == dg.AssetKey(["a"])
    assert list(dg.AssetKey("a/b").path) == ["a/b"]


def test_the_text_of_a_key_joins_its_parts_and_reads_back():
    for path in (["a"], ["a", "b"], ["a/b"], ["a/b", "c"]):
        key = dg.AssetKey(path)
        assert dg.AssetKey.from_user_string(key.to_user_string()) == key
    assert dg.AssetKey(["a", "b"]).to_user_string() == "a/b"


def test_keys_show_as_the_cursors_of_sensors_need_them():
    assert str(dg.AssetKey(["a", "b"])) == "AssetKey(['a', 'b'])"


def test_keys_sort_hash_and_travel():
    one, two = dg.AssetKey("a"), dg.AssetKey(["a", "b"])
    assert sorted([two, one]) == [one, two]
    assert {one: 1}[dg.AssetKey("a")] == 1
    assert pickle.loads(pickle.dumps(two)) == two == copy.deepcopy(two)  # noqa: S301 - our own


@pytest.mark.parametrize("path", [[], [""], ["a", ""], [1], ["a", None]])
def test_what_is_no_key_is_refused_with_the_value(path):
    with pytest.raises(dg.InvalidDefinitionError):
        dg.AssetKey(path)


def test_prefixes():
    key = dg.AssetKey("c").with_prefix(["a", "b"])
    assert key == dg.AssetKey(["a", "b", "c"])
    assert key.has_prefix(["a"])
    assert not key.has_prefix(["b"])
    assert dg.AssetKey("c").with_prefix("a") == dg.AssetKey(["a", "c"])
