"""What users rely on, by name: eager, on_cron, on_missing and the others, over real assets."""

import datetime as dt

import atoll as dg

C = dg.AutomationCondition
DAYS = dg.DailyPartitionsDefinition("2024-01-01")


class Ticks:
    """Evaluates the conditions of definitions again and again."""

    def __init__(self, defs, now=dt.datetime(2024, 1, 3, 12, tzinfo=dt.UTC)):
        self.defs = defs if isinstance(defs, dg.Definitions) else dg.Definitions(assets=defs)
        self.instance = dg.Instance.ephemeral()
        self.now = now
        self.cursor = None

    def __call__(self, **passed):
        """Let time pass, evaluate, and return what is requested by key."""
        self.now += dt.timedelta(**(passed or {"seconds": 30}))
        result = dg.evaluate_automation_conditions(
            self.defs, self.instance, evaluation_time=self.now, cursor=self.cursor
        )
        self.cursor = result.cursor
        found = {one.key.to_user_string(): one.true_subset for one in result.results}
        return {
            key: sorted(subset.expensively_compute_partition_keys()) or True
            for key, subset in found.items()
            if subset
        }

    def made(self, *keys, partition=None, tags=None):
        """Report materializations."""
        for key in keys:
            event = dg.AssetMaterialization(key, partition=partition, tags=tags)
            self.instance.report_runless_asset_event(event)


@dg.asset
def source(): ...


@dg.asset(deps=[source], automation_condition=C.eager())
def first(): ...


@dg.asset(deps=[first], automation_condition=C.eager())
def second(): ...


@dg.asset(deps=[second], automation_condition=C.eager())
def third(): ...


CHAIN = [source, first, second, third]


def test_what_is_missing_at_first_is_not_requested_by_eager():
    ticks = Ticks(CHAIN)
    assert ticks() == {}
    assert ticks() == {}


def test_eager_requests_a_whole_chain_in_one_tick():
    ticks = Ticks(CHAIN)
    ticks()
    ticks.made("source")
    assert ticks() == {"first": True, "second": True, "third": True}
    assert ticks() == {}


def test_eager_waits_while_a_dependency_is_missing_and_then_goes_on():
    @dg.asset
    def other(): ...

    @dg.asset(deps=[source, other], automation_condition=C.eager())
    def both(): ...

    ticks = Ticks([source, other, both])
    ticks()
    ticks.made("source")
    assert ticks() == {}
    ticks.made("other")
    assert ticks() == {"both": True}


def test_eager_requests_again_for_an_update_that_comes_right_after_the_request():
    ticks = Ticks(CHAIN[:2])
    ticks()
    ticks.made("source")
    assert ticks() == {"first": True}
    # Reported by the clock of the machine, which is later than the evaluation's.
    ticks.made("source")
    assert ticks() == {"first": True}


def test_a_run_of_both_is_no_reason_to_request_what_is_downstream():
    ticks = Ticks(CHAIN[:2])
    ticks()
    job = ticks.defs.resolve_implicit_global_asset_job_def()
    job.execute_in_process(instance=ticks.instance)
    assert ticks() == {}
    job.execute_in_process(instance=ticks.instance, asset_selection=[dg.AssetKey("source")])
    assert ticks() == {"first": True}


def test_eager_looks_at_the_latest_day_only():
    @dg.asset(partitions_def=DAYS, deps=[source], automation_condition=C.eager())
    def daily(): ...

    ticks = Ticks([source, daily])
    ticks.made("source")
    assert ticks() == {}
    assert ticks(days=1) == {"daily": ["2024-01-03"]}
    assert ticks() == {}
    ticks.made("source")
    assert ticks() == {"daily": ["2024-01-03"]}


def test_partitions_that_are_added_are_requested_by_on_missing():
    names = dg.DynamicPartitionsDefinition(name="names")

    @dg.asset(partitions_def=names, automation_condition=C.on_missing())
    def by_name(): ...

    ticks = Ticks([by_name])
    ticks.instance.add_dynamic_partitions("names", ["there from the start"])
    assert ticks() == {}
    ticks.instance.add_dynamic_partitions("names", ["a", "b"])
    assert ticks() == {"by_name": ["a", "b"]}
    assert ticks() == {}


def test_on_missing_waits_for_its_dependencies():
    names = dg.DynamicPartitionsDefinition(name="names")

    @dg.asset(partitions_def=names)
    def above(): ...

    @dg.asset(partitions_def=names, deps=[above], automation_condition=C.on_missing())
    def below(): ...

    ticks = Ticks([above, below])
    ticks()
    ticks.instance.add_dynamic_partitions("names", ["a"])
    assert ticks() == {}
    ticks.made("above", partition="a")
    assert ticks() == {"below": ["a"]}


def test_on_cron_waits_for_the_tick_and_for_all_dependencies():
    @dg.asset
    def other(): ...

    @dg.asset(deps=[source, other], automation_condition=C.on_cron("0 0 * * *"))
    def nightly(): ...

    ticks = Ticks([source, other, nightly])
    ticks.made("source", "other")
    assert ticks() == {}
    assert ticks(hours=13) == {}
    ticks.made("source")
    assert ticks() == {}
    ticks.made("other")
    assert ticks() == {"nightly": True}
    ticks.made("source", "other")
    assert ticks() == {}


def test_on_cron_without_dependencies_fires_at_each_tick_once():
    @dg.asset(automation_condition=C.on_cron("0 0 * * *", "Europe/Berlin"))
    def nightly(): ...

    ticks = Ticks([nightly])
    assert ticks() == {}
    assert ticks(hours=11) == {"nightly": True}  # 23:00 in UTC is midnight in Berlin
    assert ticks(hours=1) == {}
    assert ticks(days=3) == {"nightly": True}


def test_checks_are_requested_by_their_own_conditions():
    @dg.asset_check(asset=source, automation_condition=C.eager())
    def looks_well():
        return dg.AssetCheckResult(passed=True)

    ticks = Ticks(dg.Definitions(assets=[source], asset_checks=[looks_well]))
    assert ticks() == {}
    ticks.made("source")
    assert ticks() == {"source:looks_well": True}


def test_blocking_checks_of_dependencies_can_be_waited_for():
    passing = [False]

    @dg.asset_check(asset=source, blocking=True)
    def must_hold():
        return dg.AssetCheckResult(passed=passing[0])

    condition = C.eager() & C.all_deps_blocking_checks_passed()

    @dg.asset(deps=[source], automation_condition=condition)
    def careful(): ...

    ticks = Ticks(dg.Definitions(assets=[source, careful], asset_checks=[must_hold]))
    job = ticks.defs.resolve_implicit_global_asset_job_def()
    ticks()
    for passed, expected in ((False, {}), (True, {"careful": True})):
        passing[0] = passed
        job.execute_in_process(
            instance=ticks.instance, asset_selection=[dg.AssetKey("source")], raise_on_error=False
        )
        assert ticks() == expected


def test_a_job_is_requested_for_its_root_assets():
    condition = C.any_job_root_assets_match(C.any_deps_updated())
    job = dg.define_asset_job("both", selection=["first", "second"], automation_condition=condition)
    plain = [one.map_asset_specs(_without_condition) for one in (first, second)]
    ticks = Ticks(dg.Definitions(assets=[source, *plain], jobs=[job]))
    assert ticks() == {}
    ticks.made("source")
    assert ticks() == {"both": True}
    ticks.made("first")
    assert ticks() == {}


def _without_condition(spec):
    return spec.replace_attributes(automation_condition=None)


def test_what_is_only_made_together_is_requested_together():
    specs = [
        dg.AssetSpec("left", deps=["source"], automation_condition=C.eager()),
        dg.AssetSpec("right"),
    ]

    @dg.multi_asset(specs=specs)
    def both(): ...

    ticks = Ticks([source, both])
    ticks()
    ticks.made("source")
    result = dg.evaluate_automation_conditions(
        ticks.defs, ticks.instance, evaluation_time=ticks.now, cursor=ticks.cursor
    )
    assert result.total_requested == 2
    assert result.get_requested_partitions(dg.AssetKey("right")) == {None}


def test_dependencies_can_be_chosen():
    @dg.asset(group_name="noisy")
    def other(): ...

    quiet = C.eager().ignore(dg.AssetSelection.groups("noisy"))

    @dg.asset(deps=[source, other], automation_condition=quiet)
    def target(): ...

    ticks = Ticks([source, other, target])
    ticks()
    ticks.made("other")
    assert ticks() == {}
    ticks.made("source")
    assert ticks() == {"target": True}


def test_a_new_code_version_is_requested_once():
    changed = C.code_version_changed().since_last_handled()

    def defined(version):
        @dg.asset(code_version=version, automation_condition=changed)
        def coded(): ...

        return dg.Definitions(assets=[coded])

    ticks = Ticks(defined("1"))
    assert ticks() == {}
    ticks.defs = defined("2")
    assert ticks() == {"coded": True}
    assert ticks() == {}


def test_the_condition_of_what_is_downstream_can_be_asked_for():
    condition = C.any_downstream_conditions()
    above = source.map_asset_specs(
        lambda spec: spec.replace_attributes(automation_condition=condition)
    )

    @dg.asset(deps=[above], automation_condition=C.on_cron("0 0 * * *"))
    def nightly(): ...

    ticks = Ticks([above, nightly])
    assert ticks() == {}
    assert ticks(hours=13) == {"source": True, "nightly": True}


def test_another_asset_can_be_asked():
    @dg.asset(automation_condition=C.asset_matches("source", C.newly_updated()))
    def apart(): ...

    ticks = Ticks([source, apart])
    ticks()
    ticks.made("source")
    assert ticks() == {"apart": True}


def test_a_result_says_why():
    ticks = Ticks(CHAIN[:2])
    ticks()
    ticks.made("source")
    result = dg.evaluate_automation_conditions(
        ticks.defs, ticks.instance, evaluation_time=ticks.now, cursor=ticks.cursor
    )
    told = result.results[0].pprint().splitlines()
    assert told[0] == "eager [first]: true"
    assert "          newly_updated_without_root [source]: true" in told
    assert "    any_deps_missing [first]: false" in told


def test_only_some_conditions_can_be_evaluated():
    ticks = Ticks(CHAIN)
    result = dg.evaluate_automation_conditions(
        ticks.defs, ticks.instance, asset_selection=dg.AssetSelection.keys("first")
    )
    assert [one.key for one in result.results] == [dg.AssetKey("first")]
