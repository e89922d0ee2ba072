import pytest

import atoll as dg
from atoll._definitions import merging


class Incomparable:
    def __eq__(self, other):
        raise RuntimeError("no")

    __hash__ = None


def test_what_several_hold_is_kept_once():
    one, two = object(), object()
    whole = merging.merged(
        [
            merging.Parts(assets=[one], jobs=[one], sensors=[two]),
            merging.Parts(assets=[two, one], schedules=[one], asset_checks=[two]),
        ]
    )
    assert (whole.assets, whole.jobs, whole.sensors) == ((one, two), (one,), (two,))
    assert (whole.schedules, whole.asset_checks) == ((one,), (two,))


def test_nothing_merges_into_nothing():
    whole = merging.merged([])
    assert (whole.assets, whole.resources, whole.executor) == ((), {}, None)


def test_equal_resources_loggers_and_executors_are_shared():
    odd = Incomparable()
    part = merging.Parts(resources={"r": [1], "odd": odd}, loggers={"l": 1}, executor="e")
    other = merging.Parts(resources={"r": [1], "odd": odd, "more": 2}, executor="e")
    whole = merging.merged([part, other, merging.Parts()])
    assert whole.resources == {"r": [1], "odd": odd, "more": 2}
    assert (whole.loggers, whole.executor) == ({"l": 1}, "e")


def test_all_conflicts_are_told_at_once():
    parts = [
        merging.Parts(resources={"r": 1, "odd": Incomparable()}, executor="e"),
        merging.Parts(loggers={"l": 1}),
        merging.Parts(resources={"r": 2, "odd": 3}, loggers={"l": 2}, executor="f"),
    ]
    with pytest.raises(dg.InvalidDefinitionError) as caught:
        merging.merged(parts)
    told = [problem.message for problem in caught.value.problems]
    assert len(told) == 4
    assert told[0].startswith("The resource 'r' is 1 in the definitions number 1 and 2 in number 3")
    assert [one.split(" is ")[0] for one in told[1:]] == [
        "The resource 'odd'",
        "The logger 'l'",
        "The executor",
    ]


def test_of_metadata_the_last_counts():
    whole = merging.merged(
        [merging.Parts(metadata={"a": 1, "b": 1}), merging.Parts(metadata={"a": 2})]
    )
    assert whole.metadata == {"a": 2, "b": 1}
