"""Loggers of jobs and definitions get what steps log through their context."""

import logging

import pytest

import atoll as dg


@pytest.fixture
def records():
    return []


@pytest.fixture
def collecting(records):
    class Collecting(logging.Handler):
        def emit(self, record):
            records.append(record)

    @dg.logger(config_schema={"level": dg.Field(str, default_value="INFO")})
    def collecting(context):
        made = logging.getLogger("collecting")
        made.handlers.clear()
        made.setLevel(context.logger_config["level"])
        made.addHandler(Collecting())
        return made

    return collecting


@dg.op
def talking(context):
    context.log.info("some %s", "news")
    context.log.warning("a warning")


def _messages(records):
    return [one.getMessage() for one in records]


def test_a_jobs_logger_gets_the_messages_and_where_they_come_from(records, collecting):
    @dg.job(logger_defs={"collecting": collecting})
    def made():
        talking()

    result = made.execute_in_process()
    assert _messages(records) == ["some news", "a warning"]
    first = records[0]
    assert (first.run_id, first.job_name, first.step_key) == (result.run_id, "made", "talking")
    assert [one.message for one in result.all_log_messages] == ["some news", "a warning"]


def test_run_configuration_chooses_and_configures_loggers(records, collecting):
    @dg.job(logger_defs={"collecting": collecting, "other": collecting})
    def made():
        talking()

    config = {"loggers": {"collecting": {"config": {"level": "WARNING"}}}}
    made.execute_in_process(run_config=config)
    assert _messages(records) == ["a warning"]
    with pytest.raises(dg.InvalidConfigError, match="no logger 'none_such'"):
        made.execute_in_process(run_config={"loggers": {"none_such": {}}})


def test_a_logger_that_needs_config_waits_for_it(records, collecting):
    @dg.logger(config_schema={"level": str})
    def strict(context):
        return collecting.logger_fn(context)

    @dg.job(logger_defs={"strict": strict})
    def made():
        talking()

    made.execute_in_process()
    assert records == []
    made.execute_in_process(run_config={"loggers": {"strict": {"config": {"level": "ERROR"}}}})
    assert records == []
    made.execute_in_process(run_config={"loggers": {"strict": {"config": {"level": "INFO"}}}})
    assert len(records) == 2


def test_the_loggers_of_definitions_are_those_of_jobs_without_their_own(records, collecting):
    @dg.asset
    def told(context):
        context.log.info("an asset")

    @dg.job
    def made():
        talking()

    defs = dg.Definitions(assets=[told], jobs=[made], loggers={"collecting": collecting})
    defs.get_job_def("made").execute_in_process()
    defs.get_job_def("__ASSET_JOB").execute_in_process(
        resources={"io_manager": dg.InMemoryIOManager()}
    )
    assert _messages(records) == ["some news", "a warning", "an asset"]
