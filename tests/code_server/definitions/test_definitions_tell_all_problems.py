import pytest

import atoll as dg


@dg.asset
def good(): ...


def test_definitions_without_problems_are_loadable():
    job = dg.define_asset_job("job", [good])

    @dg.asset_sensor(good, job=job)
    def watching(): ...

    defs = dg.Definitions(assets=[good, dg.AssetSpec("ext")], sensors=[watching])
    defs.validate_loadable()
    dg.Definitions.validate_loadable(defs)
    assert defs.get_job_def("job").asset_keys == {good.key}
    assert defs.get_sensor_def("watching") is watching


def test_all_problems_are_told_at_once_with_their_lines():  # noqa: C901 - one of each
    @dg.asset(io_manager_key="nowhere", required_resource_keys={"db"})
    def needy(): ...

    @dg.asset(name="good")
    def twice(): ...

    @dg.asset
    def left(right): ...

    @dg.asset
    def right(left): ...

    @dg.asset(key=["a", "b"])
    def parts(): ...

    @dg.asset(key="a__b")
    def joined(): ...

    @dg.sensor(job_name="unknown_job")
    def lost(): ...

    @dg.sensor(name="lost")
    def lost_again(): ...

    def undecorated(): ...

    defs = dg.Definitions(
        assets=[good, needy, twice, left, right, parts, joined, undecorated],
        jobs=[dg.define_asset_job("bad_job", ["unknown_asset"]), "not a job"],
        sensors=[lost, lost_again],
        resources={"unused": 1},
    )
    with pytest.raises(dg.InvalidDefinitionError) as caught:
        defs.validate_loadable()
    text = str(caught.value)
    for expected in (
        "'good' is defined 2 times",
        "needs the resource 'nowhere'",
        "needs the resource 'db'",
        "circle: right -> left -> right",
        "share the op name 'a__b'",
        "targets the job 'unknown_job'",
        "2 sensors with the name 'lost'",
        "'unknown_asset'",
        "undecorated",
        "'not a job'",
    ):
        assert expected in text, expected
    assert len(caught.value.problems) == 10
    placed = [problem for problem in caught.value.problems if problem.file]
    assert {problem.file for problem in placed} == {__file__}
    assert len(placed) == 9
    assert all(problem.line > 0 for problem in placed)


def test_parameters_that_nothing_gives_are_told_before_the_first_tick():
    @dg.sensor(job_name="a/b")
    def polling(context, warehouse, lake): ...

    @dg.asset_sensor(good, job_name="a/b")
    def watching(context, event, lake): ...

    resources = {"warehouse": 1}
    with pytest.raises(dg.InvalidDefinitionError) as caught:
        dg.Definitions(
            assets=[good], sensors=[polling, watching], resources=resources
        ).validate_loadable()
    assert [problem.message.partition(".")[0] for problem in caught.value.problems] == [
        "The sensor 'polling' takes too much: lake",
        "The sensor 'watching' takes too much: lake",
    ]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda: dg.Definitions(good), "The assets are a list, got"),
        (lambda: dg.Definitions(assets="good"), "The assets are a list, got 'good'"),
        (lambda: dg.Definitions(jobs=dg.define_asset_job("j")), "The jobs are a list, got"),
        (lambda: dg.materialize(good), "The assets are a list, got"),
        (lambda: dg.materialize_to_memory(good), "The assets are a list, got"),
    ],
)
def test_one_thing_where_a_list_belongs_is_told(wrong, told):
    with pytest.raises(dg.InvalidDefinitionError, match=told):
        wrong()


def _watching(): ...


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (lambda: dg.sensor(_watching), r"'_watching' needs parentheses. Write @sensor\(\)"),
        (lambda: dg.asset_sensor(_watching), "needs parentheses"),
        (lambda: dg.multi_asset_sensor(_watching), "needs parentheses"),
        (lambda: dg.multi_asset_sensor("good")(_watching), "Give a list of asset keys"),
        (
            lambda: dg.multi_asset_sensor(dg.AssetSelection.keys("good"))(_watching),
            "Give a list of asset keys",
        ),
        (lambda: dg.sensor(minimum_interval_seconds="1")(_watching), "number of seconds, got '1'"),
        (lambda: dg.sensor(minimum_interval_seconds=0)(_watching), "number of seconds, got 0"),
        (lambda: dg.sensor(default_status="ON")(_watching), "is 'ON'. Give DefaultSensorStatus"),
    ],
)
def test_a_sensor_that_is_written_wrongly_is_told(wrong, told):
    with pytest.raises(dg.InvalidDefinitionError, match=told):
        wrong()


def test_a_resource_that_is_no_io_manager_is_told():
    with pytest.raises(dg.InvalidDefinitionError, match="no handle_output"):
        dg.Definitions(assets=[good], resources={"io_manager": 3}).validate_loadable()
    dg.Definitions(assets=[good], resources={"io_manager": dg.mem_io_manager}).validate_loadable()


def test_a_job_of_external_assets_cannot_run_here():
    job = dg.define_asset_job("job", ["ext"])
    with pytest.raises(dg.InvalidDefinitionError, match="cannot materialize"):
        dg.Definitions(assets=[dg.AssetSpec("ext")], jobs=[job]).validate_loadable()


def test_a_sensor_may_name_a_job_of_another_location():
    @dg.sensor(job_name="elsewhere/job")
    def far(): ...

    dg.Definitions(sensors=[far]).validate_loadable()


def test_a_sensor_that_watches_a_job_that_is_not_there_is_told():
    @dg.run_failure_sensor(
        monitored_jobs=[
            dg.define_asset_job("forgotten", [good]),
            dg.JobSelector(location_name="elsewhere", job_name="unknown here"),
        ]
    )
    def alarm(context): ...

    with pytest.raises(dg.InvalidDefinitionError, match="'alarm' watches the job 'forgotten'"):
        dg.Definitions(assets=[good], sensors=[alarm]).validate_loadable()


def test_unknown_names_are_told_with_the_known_ones():
    defs = dg.Definitions(assets=[good], jobs=[dg.define_asset_job("job")])
    with pytest.raises(dg.InvariantViolationError, match=r"'jobb'.*job"):
        defs.get_job_def("jobb")
    with pytest.raises(dg.InvariantViolationError, match="'s'"):
        defs.get_sensor_def("s")
    with pytest.raises(dg.InvalidSubsetError, match="'nope'"):
        defs.get_assets_def("nope")


def test_the_implicit_job_holds_everything_executable():
    defs = dg.Definitions(assets=[good, dg.AssetSpec("ext")])
    assert defs.get_job_def("__ASSET_JOB").asset_keys == {good.key}
    assert [job.name for job in defs.resolve_all_job_defs()] == ["__ASSET_JOB"]
    assert dg.Definitions().resolve_all_job_defs() == []
    assert dg.Definitions().get_job_def("__ASSET_JOB").asset_keys == frozenset()


@pytest.mark.parametrize("name", ["", "a/b", "__ASSET_JOB", 5])
def test_names_of_jobs_are_checked(name):
    with pytest.raises(dg.InvalidDefinitionError, match="name of a job"):
        dg.define_asset_job(name)


def test_run_tags_replace_tags_on_runs():
    defs = dg.Definitions(
        assets=[good],
        jobs=[
            dg.define_asset_job("plain", tags={"a": "1"}),
            dg.define_asset_job("split", tags={"a": "1"}, run_tags={"b": "2"}),
        ],
    )
    assert defs.get_job_def("plain").run_tags == {"a": "1"}
    assert defs.get_job_def("split").run_tags == {"b": "2"}


def test_merging_keeps_everything_once():
    @dg.asset
    def other(): ...

    shared = object()
    job = dg.define_asset_job("job")
    merged = dg.Definitions.merge(
        dg.Definitions(assets=[good], jobs=[job], resources={"r": shared}, metadata={"m": 1}),
        dg.Definitions(assets=[good, other], jobs=[job], resources={"r": shared}),
    )
    assert list(merged.assets) == [good, other]
    assert list(merged.jobs) == [job]
    assert merged.metadata == {"m": dg.IntMetadataValue(1)}
    with pytest.raises(dg.InvalidDefinitionError, match="'r'"):
        dg.Definitions.merge(dg.Definitions(resources={"r": 1}), dg.Definitions(resources={"r": 2}))


def test_mapping_specs_of_definitions():
    defs = dg.Definitions(assets=[good, dg.AssetSpec("ext")])
    mapped = defs.map_asset_specs(
        func=lambda spec: spec.merge_attributes(tags={"x": "1"}), selection="good"
    )
    tags = {spec.key.to_user_string(): spec.tags for spec in mapped.resolve_all_asset_specs()}
    assert tags == {"good": {"x": "1"}, "ext": {}}
