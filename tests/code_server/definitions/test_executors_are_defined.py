"""Executors are defined, configured, and named by jobs and definitions."""

import pytest

import atoll as dg
from atoll._definitions import config_contract, executors

NOT_GIVEN = config_contract.NOT_GIVEN


def _made(definition, config=NOT_GIVEN):
    return definition.make(None, config, None)


@dg.op
def _step(): ...


@dg.graph
def _steps():
    _step()


def test_the_default_runs_in_process_and_takes_either():
    definition = dg.multi_or_in_process_executor
    assert isinstance(_made(definition), executors.InProcessExecutor)
    made = _made(definition, {"multiprocess": {"max_concurrent": 4}})
    assert isinstance(made, executors.MultiprocessExecutor)
    assert (made.max_concurrent, made.retries) == (4, True)
    assert isinstance(_made(definition, {"multiprocess": None}), executors.MultiprocessExecutor)
    with pytest.raises(dg.InvalidConfigError):
        _made(definition, {"in_process": {}, "multiprocess": {}})


def test_every_option_of_the_multiprocess_executor_is_taken():
    made = _made(
        dg.multiprocess_executor,
        {
            "max_concurrent": 3,
            "start_method": {"forkserver": {"preload_modules": ["pandas"]}},
            "retries": {"disabled": {}},
            "tag_concurrency_limits": [
                {"key": "a", "limit": 1},
                {"key": "b", "value": "x", "limit": 2},
                {"key": "c", "value": {"applyLimitPerUniqueValue": True}, "limit": 3},
            ],
        },
    )
    assert not made.retries
    assert made.tag_concurrency_limits == (
        executors.TagLimit("a", 1),
        executors.TagLimit("b", 2, "x"),
        executors.TagLimit("c", 3, None, True),
    )


@pytest.mark.parametrize(
    "config",
    [
        {"max_concurrent": -1},
        {"max_concurrent": "many"},
        {"tag_concurrency_limits": [{"key": "a", "limit": 0}]},
        {"tag_concurrency_limits": [{"key": "a"}]},
        {"retries": {"sometimes": {}}},
        {"unknown": 1},
    ],
)
def test_config_that_does_not_fit_is_refused(config):
    with pytest.raises(dg.InvalidConfigError):
        _made(dg.multiprocess_executor, config)


def test_config_is_given_in_code():
    fixed = dg.multiprocess_executor.configured({"max_concurrent": 2})
    assert _made(fixed).max_concurrent == 2
    assert fixed.name == "multiprocess"
    with pytest.raises(dg.InvalidConfigError):
        _made(fixed, {"max_concurrent": 3})
    simpler = dg.configured(dg.multiprocess_executor, config_schema={"most": int}, name="simple")(
        lambda config: {"max_concurrent": config["most"]}
    )
    assert (simpler.name, _made(simpler, {"most": 5}).max_concurrent) == ("simple", 5)


def test_a_function_makes_an_executor_of_its_config():
    seen = []

    @dg.executor(config_schema={"most": int}, requirements=[])
    def own(context):
        seen.append(context)
        return executors.MultiprocessExecutor(context.executor_config["most"])

    assert _made(own, {"most": 7}).max_concurrent == 7
    assert seen[0].executor_def is own
    assert own.name == "own"
    assert own.get_requirements() == []

    @dg.executor
    def nothing(context): ...

    with pytest.raises(dg.InvalidDefinitionError, match="None"):
        _made(nothing)


def test_requirements_follow_from_the_config():
    several = dg.multiple_process_executor_requirements()
    assert dg.ExecutorRequirement.PERSISTENT_OUTPUTS in several
    assert dg.multiprocess_executor.get_requirements() == several
    assert dg.multi_or_in_process_executor.get_requirements({"multiprocess": {}}) == several
    assert dg.multi_or_in_process_executor.get_requirements({"in_process": {}}) == []
    assert dg.ExecutorRequirement.RECONSTRUCTABLE_PIPELINE is (
        dg.ExecutorRequirement.RECONSTRUCTABLE_JOB
    )


def test_an_executor_that_is_there_is_taken_as_it_is():
    made = executors.InProcessExecutor(retries=False)
    assert _made(dg.ExecutorDefinition.hardcoded_executor(made)) is made
    assert _made(executors.definition_of(made)) is made
    with pytest.raises(dg.InvalidDefinitionError, match="fast"):
        executors.definition_of("fast")


def test_run_configuration_of_every_job_has_its_executor():
    def execution_of(job):
        return job.run_config_schema["properties"]["execution"]["properties"]["config"]

    plain = _steps.to_job("plain")
    assert set(execution_of(plain)["properties"]) == {"in_process", "multiprocess"}
    several = _steps.to_job("several", executor_def=dg.multiprocess_executor)
    assert "max_concurrent" in execution_of(several)["properties"]
    defs = dg.Definitions(jobs=[plain, several], executor=dg.in_process_executor)
    assert defs.resolve_job_def("plain").executor_def is dg.in_process_executor
    assert defs.resolve_job_def("several").executor_def is dg.multiprocess_executor


def test_execution_config_is_checked_before_anything_runs():
    ran = []

    @dg.op
    def step():
        ran.append(1)

    @dg.job
    def plain():
        step()

    config = {"execution": {"config": {"multiprocess": {"max_concurrent": "four"}}}}
    with pytest.raises(dg.InvalidConfigError, match="max_concurrent"):
        plain.execute_in_process(run_config=config)
    assert ran == []
    config = {"execution": {"config": {"multiprocess": {"max_concurrent": 4}}}}
    assert plain.execute_in_process(run_config=config).success
    assert ran == [1]
