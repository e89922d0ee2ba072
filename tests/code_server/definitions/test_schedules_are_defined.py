"""What schedules are: when they are due, what they ask for, and what of them contradicts itself."""

import types

import pytest

import atoll as dg


@dg.op
def load(): ...


@dg.job
def nightly():
    load()


@dg.asset
def orders(): ...


ASSET_JOB = dg.define_asset_job("asset_job", [orders])


def _schedule(**options):
    return dg.ScheduleDefinition(**{"job": nightly, "cron_schedule": "0 3 * * *", **options})


def test_what_a_schedule_tells_of_itself():
    made = _schedule(
        name="mine",
        cron_schedule=["0 3 * * *", "@hourly"],
        execution_timezone="Europe/Berlin",
        description="Loads.",
        tags={"team": "a"},
        metadata={"runbook": "see there"},
        owners=["team:a"],
        default_status=dg.DefaultScheduleStatus.RUNNING,
        environment_vars={"A": "b"},
        required_resource_keys={"db"},
    )
    assert (made.name, made.job_name, made.job, made.target) == (
        "mine",
        "nightly",
        nightly,
        nightly,
    )
    assert (made.cron_schedule, made.execution_timezone) == (
        ("0 3 * * *", "@hourly"),
        "Europe/Berlin",
    )
    assert (made.description, made.tags, made.owners) == ("Loads.", {"team": "a"}, ("team:a",))
    assert made.metadata["runbook"].value == "see there"
    assert made.default_status is dg.DefaultScheduleStatus.RUNNING
    assert (made.environment_vars, made.required_resource_keys) == ({"A": "b"}, {"db"})
    assert made.source.file == __file__
    assert (made.has_job, made.has_anonymous_job) == (True, False)


def test_names_are_made_of_the_job():
    assert _schedule().name == "nightly_schedule"
    assert _schedule(job=ASSET_JOB).name == "asset_job_schedule"
    by_name = _schedule(job=None, job_name="elsewhere/load")
    assert (by_name.name, by_name.target, by_name.has_job) == (
        "elsewhere/load_schedule",
        "elsewhere/load",
        False,
    )
    with pytest.raises(dg.InvalidInvocationError, match="by name only"):
        _ = by_name.job

    @dg.schedule("@daily", target=orders)
    def decorated():
        """Says when."""

    assert (decorated.name, decorated.description) == ("decorated", "Says when.")


@pytest.mark.parametrize("target", [nightly, ASSET_JOB, [ASSET_JOB]])
def test_a_target_may_be_a_job(target):
    job = target[0] if isinstance(target, list) else target
    assert _schedule(job=None, target=target).job is job


@pytest.mark.parametrize("target", [orders, "orders", [orders], dg.AssetSelection.all()])
def test_a_target_may_be_assets(target):
    made = _schedule(name="mine", job=None, target=target)
    assert made.has_anonymous_job
    defs = dg.Definitions(assets=[orders], schedules=[made])
    defs.validate_loadable()
    assert defs.get_job_def(made.job_name).asset_keys == {orders.key}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"job": None}, "Give it one of job=, job_name= and target="),
        ({"job": None, "name": "x"}, "got none of them"),
        ({"job_name": "x"}, "got job_name and job"),
        ({"target": "x"}, "got job and target"),
        ({"job": None, "target": "orders"}, "A schedule of assets needs a name"),
        ({"job": None, "name": "x", "target": [nightly, ASSET_JOB]}, "a schedule for each job"),
        ({"name": "a/b"}, "'a/b'"),
        ({"cron_schedule": None}, "no cron schedule"),
        ({"cron_schedule": []}, "no cron schedule"),
        ({"cron_schedule": "soon"}, "'soon'"),
        ({"cron_schedule": ["@daily", "61 * * * *"]}, "61"),
        ({"cron_schedule": "0 0 30 2 *"}, "no such day"),
        ({"execution_timezone": "Mars/Olympus"}, "Mars/Olympus"),
        ({"run_config": {}, "run_config_fn": dict}, "both run_config and run_config_fn"),
        ({"tags": {}, "tags_fn": dict}, "both tags and tags_fn"),
        ({"run_config": {}, "execution_fn": lambda: None}, "run_config beside execution_fn"),
        (
            {"run_config_fn": dict, "execution_fn": lambda: None},
            "run_config_fn beside execution_fn",
        ),
        ({"should_execute": True}, "in the place of a function"),
        ({"execution_fn": lambda **_any: None}, "takes any keyword"),
        ({"default_status": "PAUSED"}, "'PAUSED'"),
    ],
)
def test_what_cannot_be(options, message):
    with pytest.raises(dg.InvalidDefinitionError, match=message):
        _schedule(**options)


def test_the_decorator_wants_to_know_when():
    with pytest.raises(dg.InvalidDefinitionError, match="needs to know when"):
        dg.schedule(lambda: None)


def test_other_attributes_and_another_job():
    made = _schedule(metadata={"a": "b"})
    other = made.with_attributes(job=ASSET_JOB, metadata={"c": "d"})
    assert (other.job, other.job_name, set(other.metadata)) == (ASSET_JOB, "asset_job", {"c"})
    assert (made.job, set(made.metadata)) == (nightly, {"a"})
    assert made.with_updated_job(ASSET_JOB).name == made.name


def test_definitions_know_their_schedules():
    made = _schedule()
    defs = dg.Definitions(schedules=[made])
    defs.validate_loadable()
    assert defs.get_schedule_def("nightly_schedule") is made
    assert defs.resolve_schedule_def("nightly_schedule") is made
    assert [job.name for job in defs.resolve_all_job_defs()] == ["nightly"]
    with pytest.raises(dg.InvariantViolationError, match="hold these schedules: nightly_schedule"):
        defs.get_schedule_def("other")


def _problems(**given):
    with pytest.raises(dg.InvalidDefinitionError) as caught:
        dg.Definitions(**given).validate_loadable()
    return [problem.message for problem in caught.value.problems]


def test_everything_that_is_wrong_is_told():
    @dg.schedule("@daily", job=nightly)
    def takes_too_much(context, other): ...

    @dg.sensor(job=nightly, name="nightly_schedule")
    def same_name(): ...

    given = [
        _schedule(),
        _schedule(name="a", job=None, job_name="unknown"),
        _schedule(name="b", job=None, job_name="elsewhere/known"),
        _schedule(name="c", required_resource_keys={"db"}),
        _schedule(name="c", job=None, target="nowhere"),
        takes_too_much,
        nightly,
    ]
    told = _problems(schedules=given, sensors=[same_name])
    for message in (
        "stands among the schedules. Give functions decorated with @schedule",
        "There are 2 schedules with the name 'c'",
        "A sensor and a schedule have the name 'nightly_schedule'",
        "The schedule 'c' needs the resource 'db'",
        "takes too much: other",
        "The schedule 'a' targets the job 'unknown'",
        "'nowhere'",
    ):
        assert any(message in one for one in told), message
    assert len(told) == 7


def test_schedules_and_jobs_are_found_in_modules():
    module = types.ModuleType("found")
    made = _schedule()
    vars(module).update(nightly=nightly, asset_job=ASSET_JOB, made=made, orders=orders)
    defs = dg.load_definitions_from_module(module)
    assert list(defs.schedules) == [made]
    assert set(defs.jobs) == {nightly, ASSET_JOB}
    merged = dg.Definitions.merge(defs, dg.Definitions(schedules=[made]))
    assert list(merged.schedules) == [made]


@pytest.mark.parametrize(
    ("policy", "complaint"),
    [
        ({"skipped_times": "later"}, "skipped_times of the schedule 's' is 'later'"),
        ({"repeated_times": "twice"}, "Give one of 'first', 'last', 'both'"),
        ({"max_catchup_runs": -1}, "max_catchup_runs of the schedule 's' is -1"),
        ({"max_catchup_runs": True}, "Give a number from 0 to 1000"),
        ({"max_tick_retries": 101}, "Give a number from 0 to 100"),
    ],
)
def test_policies_that_cannot_be_are_told(policy, complaint):
    with pytest.raises(dg.InvalidDefinitionError, match=complaint):
        dg.ScheduleDefinition("s", cron_schedule="@daily", job_name="job", **policy)


def test_policies_are_taken_by_the_decorator_too():
    @dg.schedule("@daily", job_name="job", skipped_times="skip", max_tick_retries=0)
    def nightly():
        return None

    assert (nightly.policies.skipped_times, nightly.policies.repeated_times) == ("skip", "first")
    assert (nightly.policies.max_catchup_runs, nightly.policies.max_tick_retries) == (None, 0)
