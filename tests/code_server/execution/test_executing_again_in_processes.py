"""A job whose steps run in processes of their own is executed again just as well."""

import os
import signal

import pytest

import atoll as dg

pytestmark = pytest.mark.forks


@pytest.mark.usefixtures("forking")
def test_a_step_whose_process_died_is_executed_again(tmp_path):
    healed = tmp_path / "healed"

    @dg.op
    def one():
        return [1, 2]

    @dg.op
    def dying(one):
        if not healed.exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return sum(one)

    @dg.op(out=dg.DynamicOut())
    def spread(value):
        for number in range(value):
            yield dg.DynamicOutput(number, f"n{number}")

    @dg.job(executor_def=dg.multiprocess_executor)
    def deadly():
        spread(dying(one()))

    with dg.Instance.ephemeral(str(tmp_path)) as instance:
        first = dg.execute_job(deadly, instance)
        assert first.get_failed_step_keys() == {"dying"}
        with pytest.raises(dg.ExecutionStepExecutionError, match="SIGKILL"):
            dg.execute_job(deadly, instance, raise_on_error=True)
        healed.touch()
        options = dg.ReexecutionOptions.from_failure(first.run_id, instance)
        with dg.execute_job(deadly, instance, reexecution_options=options) as again:
            assert again.success
            assert again.events_for_node("one") == []
            assert again.output_for_node("dying") == 3
            assert again.output_for_node("spread") == {"n0": 0, "n1": 1, "n2": 2}
            with pytest.raises(dg.StepOutputNotFoundError):
                again.output_for_node("one")
