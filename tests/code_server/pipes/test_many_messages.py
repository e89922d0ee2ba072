import resource

import pytest

import atoll as dg
from tests.code_server.pipes import programs

MESSAGES = 100_000
BYTES_EACH = 500
MEMORY_GROWTH_MAX = 16 * 1024 * 1024


@pytest.mark.slow
def test_a_hundred_thousand_messages_pass_in_order_and_in_bounded_memory(tmp_path):
    command = programs.program(
        tmp_path,
        f"""
        with open_pipes() as pipes:
            for number in range({MESSAGES}):
                pipes.log.info("%d %s", number, "x" * {BYTES_EACH})
        """,
    )
    state = {"next": 0, "disorder": 0}

    def tell(message):
        if int(message.split(" ", 1)[0]) != state["next"]:
            state["disorder"] += 1
        state["next"] += 1

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    dg.PipesSubprocessClient().run(context=programs.Context(tell), command=command)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert state == {"next": MESSAGES, "disorder": 0}
    assert grown < MEMORY_GROWTH_MAX


@pytest.mark.slow
def test_a_line_beyond_the_bound_is_passed_over(tmp_path):
    command = programs.program(
        tmp_path,
        """
        with open_pipes() as pipes:
            pipes.log.info("x" * (17 * 1024 * 1024))
            pipes.log.info("short")
        """,
    )
    heard = []
    dg.PipesSubprocessClient().run(context=programs.Context(heard.append), command=command)
    refused, short = heard
    assert short == "short"
    assert "passed over" in refused
    assert len(refused) < 2000


@pytest.mark.slow
def test_a_step_without_assets_is_told_so(tmp_path):
    command = programs.program(
        tmp_path,
        """
        with open_pipes() as pipes:
            pipes.log.info("%s", pipes.is_asset_step)
            try:
                pipes.asset_key
            except PipesError as error:
                pipes.log.info("%s", error)
        """,
    )
    heard = []
    done = dg.PipesSubprocessClient().run(context=programs.Context(heard.append), command=command)
    assert heard == ["False", "This step has no assets, so the context cannot tell of any."]
    assert done.get_results() == []
