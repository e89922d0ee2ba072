import logging

import pytest

import atoll as dg
from atoll._execution import ticks


class Scale(dg.Config):
    factor: int


@dg.asset
def made(config: Scale) -> None: ...


@dg.asset
def spare(): ...


JOB = dg.define_asset_job("job", [made])
OTHER = dg.define_asset_job("other", [made])


def _ask():
    return dg.RunRequest()


def _evaluate(function, *, cursor=None, **options):
    options = options or {"job": JOB}
    sensor = dg.sensor(name="deciding", **options)(function)
    defs = dg.Definitions(assets=[made, spare], sensors=[sensor], resources={"db": "x"})
    return ticks.evaluate_sensor(
        defs, "deciding", cursor=cursor, triggering_event=None, instance=dg.Instance.ephemeral()
    )


@pytest.mark.parametrize(
    ("returned", "keys"),
    [
        (dg.RunRequest("a"), ["a"]),
        ([dg.RunRequest("a"), dg.RunRequest("b")], ["a", "b"]),
        (dg.SensorResult([dg.RunRequest("a")]), ["a"]),
        (iter([dg.RunRequest("a"), None, [dg.RunRequest("b")]]), ["a", "b"]),
        (None, []),
        ([], []),
    ],
)
def test_what_may_be_returned(returned, keys):
    told = _evaluate(lambda: returned)
    assert [request.run_key for request in told.run_requests] == keys
    assert (told.skip_message is None) == bool(keys)


@pytest.mark.parametrize("reason", [dg.SkipReason("why"), dg.SensorResult(skip_reason="why")])
def test_a_reason_to_skip(reason):
    assert _evaluate(lambda: reason).skip_message == "why"


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([dg.RunRequest("a"), dg.SkipReason("b")], "both"),
        ([dg.SkipReason("a"), dg.SkipReason("b")], "2 skip reasons"),
        ([dg.SensorResult(), dg.RunRequest("a")], "alone"),
        (["text"], "'text'"),
        ("text", "'text'"),
        (5, "gave 5"),
    ],
)
def test_what_makes_no_sense_is_refused(items, message):
    with pytest.raises(dg.InvariantViolationError, match=message):
        _evaluate(lambda: items)


def test_the_cursor_is_set_one_way_or_the_other():
    def by_context(context):
        assert context.cursor == "old"
        context.update_cursor("new")
        assert context.cursor == "new"

    def by_both(context):
        context.update_cursor("new")
        return dg.SensorResult(cursor="newer")

    assert _evaluate(by_context, cursor="old").cursor == "new"
    assert _evaluate(lambda: dg.SensorResult(cursor="new"), cursor="old").cursor == "new"
    assert _evaluate(lambda: None, cursor="old").cursor == "old"
    with pytest.raises(dg.InvariantViolationError, match="both"):
        _evaluate(by_both)


def test_a_cursor_is_text():
    with pytest.raises(dg.UserCodeExecutionError) as caught:
        _evaluate(lambda context: context.update_cursor(5))
    assert isinstance(caught.value.__cause__, dg.InvariantViolationError)


def test_what_the_function_raises_is_the_cause():
    def raising():
        raise ValueError("mine")

    def raising_later():
        yield dg.RunRequest("a")
        raise ValueError("mine")

    for function in (raising, raising_later):
        with pytest.raises(dg.UserCodeExecutionError, match="'deciding' raised") as caught:
            _evaluate(function)
        assert str(caught.value.__cause__) == "mine"


def test_run_config_is_plain():
    config = dg.RunConfig(ops={"made": Scale(factor=2)})
    told = _evaluate(lambda: dg.RunRequest(run_config=config))
    assert told.run_requests[0].run_config == {
        "loggers": {},
        "resources": {},
        "ops": {"made": {"config": {"factor": 2}}},
        "execution": {},
    }


def test_the_job_is_told_where_it_must_be():
    assert _evaluate(_ask).run_requests[0].job_name == "job"
    assert _evaluate(_ask, job_name="job").run_requests[0].job_name == "job"
    named = _evaluate(lambda: dg.RunRequest(job_name="other"), jobs=[JOB, OTHER])
    assert named.run_requests[0].job_name == "other"
    far = _evaluate(lambda: dg.RunRequest(job_name="elsewhere/job"), jobs=[JOB, "elsewhere/job"])
    assert far.run_requests[0].job_name == "elsewhere/job"
    with pytest.raises(dg.InvariantViolationError, match="none of its targets: job"):
        _evaluate(lambda: dg.RunRequest(job_name="elsewhere/job"))
    with pytest.raises(dg.InvariantViolationError, match="it has no job"):
        _evaluate(lambda: dg.RunRequest(job_name="elsewhere/job"), asset_selection=["made"])
    with pytest.raises(dg.InvalidDefinitionError, match="'job' by a string"):
        dg.sensor(jobs=["job"])(_ask)
    with pytest.raises(dg.InvariantViolationError, match="one of job, other"):
        _evaluate(_ask, jobs=[JOB, OTHER])
    with pytest.raises(dg.InvariantViolationError, match="'third'"):
        _evaluate(lambda: dg.RunRequest(job_name="third"))
    with pytest.raises(dg.InvariantViolationError, match="without a job"):
        _evaluate(_ask, description="no target")


def test_a_partition_is_asked_for_where_there_may_be_one():
    @dg.op
    def work(): ...

    @dg.job
    def whole():
        work()

    @dg.job(partitions_def=dg.StaticPartitionsDefinition(["p"]))
    def in_parts():
        work()

    def asks():
        return dg.RunRequest(partition_key="p")

    assert _evaluate(asks, jobs=[in_parts]).run_requests[0].partition_key == "p"
    for target in (whole, JOB):
        with pytest.raises(dg.InvariantViolationError, match=f"{target.name!r} has no partitions"):
            _evaluate(asks, jobs=[target])


@pytest.mark.parametrize(
    "options", [{"target": made}, {"target": [made]}, {"asset_selection": "made"}, {"target": "*"}]
)
def test_assets_are_asked_for_through_the_implicit_job(options):
    told = _evaluate(lambda: dg.RunRequest(asset_selection=["made"]), **options)
    (request,) = told.run_requests
    assert request.job_name == "__ASSET_JOB"
    assert request.asset_selection == (made.key,)


@pytest.mark.parametrize("options", [{"target": made}, {"asset_selection": "key:made"}])
def test_a_request_without_assets_means_those_of_the_sensor_alone(options):
    (request,) = _evaluate(_ask, **options).run_requests
    assert (request.job_name, request.asset_selection) == ("__ASSET_JOB", (made.key,))


@pytest.mark.parametrize("target", [JOB, [JOB]])
def test_a_target_may_be_a_job(target):
    assert _evaluate(_ask, target=target).run_requests[0].job_name == "job"


@pytest.mark.parametrize(
    "options",
    [
        {"job": JOB, "job_name": "x"},
        {"target": JOB, "job": JOB},
        {"target": JOB, "asset_selection": "*"},
        {"minimum_interval_seconds": 0},
        {"minimum_interval_seconds": -1},
    ],
)
def test_bad_options_are_refused(options):
    with pytest.raises(dg.InvalidDefinitionError):
        dg.sensor(**options)(lambda: None)


def test_a_sensor_takes_named_parameters_only():
    with pytest.raises(dg.InvalidDefinitionError, match="Name its parameters"):
        dg.sensor()(lambda *args: None)


def test_the_context_knows_the_tick():
    seen = {}

    @dg.sensor(job=JOB, required_resource_keys={"db"})
    def looking(context: dg.SensorEvaluationContext):
        context.log.info("looking at %s", "it")
        seen.update(
            name=context.sensor_name,
            key=context.last_run_key,
            done=context.last_tick_completion_time,
            same=context.last_completion_time,
            started=context.last_sensor_start_time,
            first=context.is_first_tick_since_sensor_start,
            db=context.resources.db,
        )

    messages = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    defs = dg.Definitions(assets=[made], sensors=[looking], resources={"db": "x"})
    ticks.evaluate_sensor(
        defs,
        "looking",
        cursor=None,
        triggering_event=None,
        instance=dg.Instance.ephemeral(),
        last_tick_completion_time=5.0,
        last_run_key="k",
        last_sensor_start_time=7.0,
        log_handler=handler,
    )
    assert seen == {
        "name": "looking", "key": "k", "done": 5.0, "same": 5.0, "started": 7.0,
        "first": True, "db": "x",
    }  # fmt: skip
    assert messages == ["looking at it"]


def test_asset_events_are_handed_on():
    event = dg.AssetMaterialization("seen")
    told = _evaluate(lambda: dg.SensorResult(asset_events=[event]))
    assert told.asset_events == (event,)


def test_a_sensor_is_called_directly_in_tests():
    @dg.sensor(job=JOB)
    def looking(context):
        return dg.SkipReason(context.cursor)

    assert looking(dg.build_sensor_context(cursor="c")) == dg.SkipReason("c")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: dg.RunRequest(run_key=5),
        lambda: dg.RunRequest(tags={"a": 1}),
        lambda: dg.RunRequest(run_config=[1]),
        lambda: dg.SensorResult([dg.RunRequest()], skip_reason="x"),
    ],
)
def test_what_no_request_can_be_is_refused_where_it_is_made(wrong):
    with pytest.raises(dg.Error):
        wrong()


def test_an_unknown_sensor_is_told():
    with pytest.raises(dg.InvariantViolationError, match="'nope'"):
        ticks.evaluate_sensor(
            dg.Definitions(),
            "nope",
            cursor=None,
            triggering_event=None,
            instance=dg.Instance.ephemeral(),
        )
