"""A job of ops: fan-out over files, retries, hooks, config and a resource."""

import pathlib

from pydantic import Field

import atoll as dg

TEXTS = {"a": "one two three", "b": "four"}


class Files(dg.Config):
    """Which files to process, by name."""

    texts: dict[str, str] = Field(TEXTS)


class Outbox(dg.ConfigurableResource):
    """Where messages go: a file, a line each."""

    path: str

    def send(self, text: str) -> None:
        with pathlib.Path(self.path).open("a") as file:
            file.write(f"{text}\n")


@dg.op(out=dg.DynamicOut(str))
def texts(context: dg.OpExecutionContext, config: Files):
    """One output a file; each is processed by steps of its own."""
    context.log.info("%s files", len(config.texts))
    for name, text in config.texts.items():
        yield dg.DynamicOutput(text, mapping_key=name)


@dg.op(retry_policy=dg.RetryPolicy(max_retries=2, delay=0.01, backoff=dg.Backoff.EXPONENTIAL))
def count_words(context: dg.OpExecutionContext, text: str) -> int:
    """Fails at its first try, as services do."""
    if context.retry_number == 0:
        raise ConnectionError("the service is busy")
    return len(text.split())


@dg.op(out={"total": dg.Out(int), "warning": dg.Out(str, is_required=False)})
def add_up(counts: list[int]):
    """Says something only where there is something to say."""
    yield dg.Output(sum(counts), "total", metadata={"files": len(counts)})
    if max(counts, default=0) == 0:
        yield dg.Output("all files are empty", "warning")


@dg.op
def send_total(outbox: Outbox, total: int) -> None:
    outbox.send(f"{total} words")


@dg.op
def send_warning(outbox: Outbox, warning: str) -> None:
    outbox.send(warning)


@dg.graph
def count_all():
    """A part of the work with a name of its own."""
    return add_up(texts().map(count_words).collect()).total


@dg.failure_hook(required_resource_keys={"outbox"})
def complain(context: dg.HookContext) -> None:
    """Called for each step that failed for good."""
    context.resources.outbox.send(f"{context.step_key} failed: {context.op_exception}")


@dg.success_hook
def note(context: dg.HookContext) -> None:
    context.log.info("%s is done", context.step_key)


@dg.job(hooks={complain, note}, tags={"team": "files"})
def process_files():
    total, warning = add_up(texts().map(count_words).collect())
    send_total(total=total)
    send_warning(warning=warning)


@dg.job
def count_only():
    send_total(total=count_all())


defs = dg.Definitions(
    jobs=[process_files, count_only], resources={"outbox": Outbox(path="outbox.txt")}
)
