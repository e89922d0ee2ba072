import asyncio

import atoll as dg


@dg.asset
async def fetched(context):
    await asyncio.sleep(0)
    return [1]


@dg.asset
async def streamed(fetched):
    await asyncio.sleep(0)
    yield dg.AssetObservation("seen")
    yield dg.Output(len(fetched), metadata={"n": 1})


def test_coroutines_and_async_generators_run_to_their_end():
    result = dg.materialize([fetched, streamed])
    assert result.asset_value("streamed") == 1
    assert len(result.get_asset_observation_events()) == 1


async def test_they_run_within_a_running_loop_as_well():
    result = dg.materialize([fetched, streamed])
    assert result.asset_value("streamed") == 1


async def test_what_they_raise_is_raised():
    @dg.asset
    async def broken():
        raise ValueError("later")

    result = dg.materialize([broken], raise_on_error=False)
    assert result.failure_data_for_node("broken").message == "later"


def test_a_canceled_task_fails_its_step_only():
    @dg.asset
    async def canceled():
        raise asyncio.CancelledError

    result = dg.materialize([canceled, fetched], raise_on_error=False)
    assert result.get_failed_step_keys() == {"canceled"}
    assert result.asset_value("fetched") == [1]


def test_the_clean_up_of_an_async_generator_runs():
    cleaned = []

    @dg.asset
    async def careful():
        try:
            yield "wrong"
        finally:
            cleaned.append(True)

    assert not dg.materialize([careful], raise_on_error=False).success
    assert cleaned == [True]
