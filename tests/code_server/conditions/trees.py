"""Any condition, for tests that compare evaluations."""

from hypothesis import strategies as st

from atoll._conditions import composites, conditions, operands, selections
from tests.code_server.conditions import worlds

DAILY = selections.Groups(("daily",), include_sources=True)
TAGS = {"tag_keys": ("team",), "tag_values": (("team", "a"),)}

LEAVES = [
    operands.Missing(),
    operands.RunInProgress(),
    operands.BackfillInProgress(),
    operands.ExecutionFailed(),
    operands.InitialEvaluation(),
    operands.InLatestTimeWindow(),
    operands.InLatestTimeWindow(lookback_s=2 * 86_400.0),
    operands.WillBeRequested(),
    operands.NewlyRequested(),
    operands.NewlyUpdated(),
    operands.DataVersionChanged(),
    operands.CodeVersionChanged(),
    operands.ExecutedWithRootTarget(),
    operands.CheckResult(passed=True),
    operands.CheckResult(passed=False),
    operands.Freshness(state="fail"),
    operands.Freshness(state="pass"),
    operands.CronTickPassed(cron_schedule="0 0 * * *"),
    operands.ExecutedWithTags(tag_keys=("team",)),
    operands.AnyNewUpdateHasRunTags(tag_values=(("team", "a"),)),
    operands.AllNewUpdatesHaveRunTags(tag_keys=("team",)),
]
COMPOSITES = [
    composites.eager(),
    composites.on_cron("0 0 * * *", "UTC"),
    composites.on_missing(),
    composites.any_deps_updated(),
    composites.any_deps_missing(),
    composites.all_deps_blocking_checks_passed(),
    composites.since_last_handled(composites.any_deps_updated()),
    conditions.AllDeps(operand=operands.Missing(), allow=DAILY),
    conditions.AnyDeps(operand=operands.NewlyUpdated(), ignore=DAILY),
    conditions.AnyDeps(operand=operands.NewlyRequested()),
    conditions.AnyDeps(operand=operands.WillBeRequested()),
    conditions.AnyJobRoots(operand=operands.NewlyUpdated()),
    conditions.AllJobRoots(operand=operands.Missing()),
]


def _over(children):
    pairs = st.lists(children, min_size=2, max_size=3).map(tuple)
    selecting = st.sampled_from([{}, {"allow": DAILY}, {"ignore": DAILY}])
    one = st.fixed_dictionaries({"operand": children})
    others = st.sampled_from([worlds.SOURCE.path, worlds.ONE.path, worlds.LEFT.path])
    return st.one_of(
        pairs.map(lambda parts: conditions.And(operands=parts)),
        pairs.map(lambda parts: conditions.Or(operands=parts)),
        one.map(lambda kept: conditions.Not(**kept)),
        one.map(lambda kept: conditions.NewlyTrue(**kept)),
        st.builds(lambda a, b: conditions.Since(trigger=a, reset=b), children, children),
        st.builds(lambda kept, how: conditions.AnyDeps(**kept, **how), one, selecting),
        st.builds(lambda kept, how: conditions.AllDeps(**kept, **how), one, selecting),
        st.builds(
            lambda kept, blocking: conditions.AnyChecks(**kept, blocking_only=blocking),
            one,
            st.booleans(),
        ),
        st.builds(
            lambda kept, blocking: conditions.AllChecks(**kept, blocking_only=blocking),
            one,
            st.booleans(),
        ),
        st.builds(lambda kept, path: conditions.AssetMatches(**kept, path=path), one, others),
    )


# A custom condition is a node of its own each time: the place in the tree tells them apart.
CUSTOM = st.builds(lambda: operands.Custom(own_name="Own"))
_LEAF = st.one_of(st.sampled_from(LEAVES), st.sampled_from(COMPOSITES), CUSTOM)
_SOMETIMES_DEEPER = st.recursive(_LEAF, _over, max_leaves=6)
# Of each depth many: left to itself, a recursive strategy gives mostly leaves.
ANY = st.one_of(_LEAF, _over(_LEAF), _over(_over(_LEAF)), _over(_SOMETIMES_DEEPER))
