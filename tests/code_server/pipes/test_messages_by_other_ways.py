import json
import os
import subprocess
import threading

import pytest

import atoll as dg
from tests.code_server.pipes import programs

pytestmark = pytest.mark.slow


def _run(command, reader, env=None):
    """Run a program of one writer in a session of its own."""
    heard = []
    context = programs.Context(heard.append)
    with dg.open_pipes_session(context, dg.PipesEnvContextInjector(), reader) as session:
        variables = {**os.environ, **session.get_bootstrap_env_vars(), **(env or {})}
        subprocess.run(command, env=variables, check=True, timeout=30)
    return heard, session


def test_through_a_file_that_grows(tmp_path):
    command = programs.program(
        tmp_path, "with open_pipes() as pipes: pipes.log.info('one'); pipes.log.info('two')"
    )
    path = tmp_path / "messages"
    path.write_text("left by somebody else\n")
    heard, _ = _run(command, dg.PipesFileMessageReader(path, cleanup_file=False))
    assert heard == ["one", "two"]
    assert path.exists()
    heard, _ = _run(command, dg.PipesFileMessageReader(path))
    assert heard == ["one", "two"]
    assert not path.exists()


@pytest.mark.parametrize(
    "reader",
    [
        dg.PipesTempFileMessageReader(include_stdio_in_messages=True),
        dg.PipesFifoMessageReader(include_stdio_in_messages=True),
    ],
)
def test_what_a_program_prints_can_be_messages_as_well(tmp_path, capsys, reader):
    command = programs.program(
        tmp_path,
        """
        import subprocess
        with open_pipes() as pipes:
            print("ünprinted", file=sys.stderr)
            subprocess.run(["echo", "by a child"])
            print("no end", end="")
        print("after", flush=True)
        """,
    )
    _run(command, reader)
    # Not what was printed after the pipes were closed: that went to the process's own stream.
    assert capsys.readouterr() == ("by a child\nno end", "ünprinted\n")


def test_the_last_message_comes_after_all_that_was_printed(tmp_path):
    command = programs.program(
        tmp_path, "with open_pipes(): print('a', flush=True); print('b', end='')"
    )
    path = tmp_path / "messages"
    reader = dg.PipesFileMessageReader(path, include_stdio_in_messages=True, cleanup_file=False)
    _run(command, reader)
    methods = [json.loads(line)["method"] for line in path.read_text().splitlines()]
    assert methods == ["opened", "log_external_stream", "log_external_stream", "closed"]


def test_messages_among_printed_lines_are_found(capsys):
    heard = []
    handler = dg.PipesMessageHandler(programs.Context(heard.append), dg.PipesFifoMessageReader())
    handler.handle_output("only text")
    message = {"method": "log", "params": {"message": "said", "level": "INFO"}}
    handler.handle_output(json.dumps({"__atoll_pipes_version": "1.0", **message}))
    assert capsys.readouterr().out == "only text\n"
    assert heard == ["said"]


class _FolderReader(dg.PipesBlobStoreMessageReader):
    """A blob store that is a folder. The first look at each chunk fails, as networks do."""

    def __init__(self, folder, **given):
        super().__init__(**given)
        self._folder = folder
        self._failed = set()

    def get_params(self):
        return _Given({"folder": str(self._folder)})

    def download_messages_chunk(self, index, params):
        if index == 2 and index not in self._failed:
            self._failed.add(index)
            raise ConnectionError("the network is down")
        path = self._folder / f"{index}.json"
        return path.read_text() if path.exists() else None


class _Given:
    def __init__(self, params):
        self._params = params

    def __enter__(self):
        return self._params

    def __exit__(self, *_):
        return None


class _PrintedReader(dg.PipesLogReader):
    """Tells when it was started and stopped."""

    def __init__(self):
        self.told = []

    def start(self, params, is_session_closed):
        self.told.append(("started", sorted(params), is_session_closed.is_set()))

    def stop(self):
        self.told.append("stopped")

    def is_running(self):
        return "stopped" not in self.told

    def target_is_readable(self, params):
        return True


BLOB_PROGRAM = """
class Channel(PipesBlobStoreMessageWriterChannel):
    def __init__(self, folder):
        super().__init__(interval=60)
        self.folder = folder

    def upload_messages_chunk(self, payload, index):
        path = os.path.join(self.folder, "%d.json" % index)
        with open(path + ".part", "w") as file:
            file.write(payload.read())
        os.rename(path + ".part", path)

class Writer(PipesBlobStoreMessageWriter):
    def make_channel(self, params):
        return Channel(params["folder"])

with open_pipes(message_writer=Writer()) as pipes:
    pipes.log.info("in chunk one")
    pipes._channel._upload()
    pipes.log.info("in chunk two")
    pipes._channel._upload()
"""


def test_through_chunks_in_a_blob_store(tmp_path):
    command = programs.program(tmp_path, BLOB_PROGRAM)
    store = tmp_path / "store"
    store.mkdir()
    printed = _PrintedReader()
    reader = _FolderReader(store, interval=0.01, log_readers=[printed])
    heard, session = _run(command, reader)
    assert heard[0] == "in chunk one"
    assert heard[-1] == "in chunk two"
    assert any("the network is down" in text for text in heard[1:-1])
    assert session.message_handler.received_closed_message
    assert sorted(path.name for path in store.iterdir()) == ["1.json", "2.json", "3.json"]
    assert printed.told == [("started", ["folder"], False), "stopped"]
    assert "atoll-pipes-fetch" not in {one.name for one in threading.enumerate()}


def test_from_several_writers_each_by_its_own_reader(tmp_path):
    command = programs.program(
        tmp_path, "with open_pipes() as pipes: pipes.report_custom_message(sys.argv[1])"
    )
    heard = []
    context = programs.Context(heard.append)
    opened = []

    class Listening(dg.PipesFifoMessageReader):
        def on_opened(self, opened_payload):
            opened.append(opened_payload)

    reader = dg.PipesCompositeMessageReader([Listening(), dg.PipesTempFileMessageReader()])
    with dg.open_pipes_session(context, dg.PipesEnvContextInjector(), reader) as session:
        with pytest.raises(dg.InvariantViolationError, match="per_writer"):
            session.get_bootstrap_env_vars()
        for number, variables in enumerate(session.get_per_writer_bootstrap_env_vars()):
            assert not session.message_handler.received_closed_message
            subprocess.run([*command, str(number)], env={**os.environ, **variables}, check=True)
    assert sorted(session.get_custom_messages()) == ["0", "1"]
    assert session.message_handler.received_closed_message
    assert opened == [{"extras": {}}]
    assert heard == []


def test_a_writer_that_is_missing_is_told_of(tmp_path):
    command = programs.program(tmp_path, "open_pipes().close()")
    heard = []
    context = programs.Context(heard.append)
    reader = dg.PipesCompositeMessageReader(
        [dg.PipesFifoMessageReader(), dg.PipesFifoMessageReader()]
    )
    with dg.open_pipes_session(context, dg.PipesEnvContextInjector(), reader) as session:
        first, _ = session.get_per_writer_bootstrap_env_vars()
        subprocess.run(command, env={**os.environ, **first}, check=True)
    assert len(heard) == 1
    assert "did not close" in heard[0]


def test_a_reader_learns_what_became_known_at_the_launch():
    told = []

    class Listening(dg.PipesFifoMessageReader):
        def on_launched(self, launched_payload):
            told.append(launched_payload)

    injector, reader = dg.PipesEnvContextInjector(), Listening()
    with dg.open_pipes_session(programs.Context([].append), injector, reader) as session:
        session.report_launched({"extras": {"job_id": 7}})
    assert told == [{"extras": {"job_id": 7}}]
