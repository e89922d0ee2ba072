"""Loggers are made for runs of their definitions and their config."""

import json
import logging

import pytest

import atoll as dg


def test_a_logger_gets_its_config():
    @dg.logger(config_schema={"level": str})
    def own(context):
        """Own."""
        made = logging.getLogger("atoll.test.own")
        made.setLevel(context.logger_config["level"])
        return made

    assert own.description == "Own."
    made = own(dg.build_init_logger_context(logger_config={"level": "ERROR"}))
    assert made.level == logging.ERROR
    with pytest.raises(dg.InvalidConfigError, match="config/level"):
        own(dg.build_init_logger_context(logger_config={}))
    with pytest.raises(dg.InvalidInvocationError, match="build_init_logger_context"):
        own(None)
    assert own.configured({"level": "DEBUG"})(dg.build_init_logger_context()).level == logging.DEBUG


def test_a_logger_without_config_is_a_function_alone():
    @dg.logger
    def plain(context):
        return logging.getLogger("plain")

    assert plain(dg.build_init_logger_context()).name == "plain"


def test_lines_for_people_are_coloured_and_filtered(capsys):
    context = dg.build_init_logger_context(logger_config={"log_level": "warning"})
    log = dg.colored_console_logger(context)
    log.info("quiet")
    log.warning("loud %d", 1)
    written = capsys.readouterr().err
    assert "quiet" not in written
    assert "\x1b[33m" in written
    assert "atoll WARNING loud 1" in written


def test_lines_for_programs_are_json(capsys):
    log = dg.json_console_logger(dg.build_init_logger_context(logger_config={"name": "n"}))
    log.error("bad %s", "luck", extra={"row": 3})
    told = json.loads(capsys.readouterr().err)
    assert (told["name"], told["level"], told["message"]) == ("n", "ERROR", "bad luck")
    assert told["row"] == 3


def test_a_level_that_is_none_is_told():
    with pytest.raises(dg.InvalidConfigError, match="'LOUD'"):
        dg.json_console_logger(dg.build_init_logger_context(logger_config={"log_level": "LOUD"}))


def test_the_default_loggers():
    assert list(dg.default_loggers()) == ["console"]
    ((made, config),) = dg.default_system_loggers()
    assert made(dg.build_init_logger_context(logger_config=config)).level == logging.DEBUG
