"""User code asks the instance through the code server, and is told clearly when nobody answers."""

import contextlib
import os
import socket
import subprocess
import sys
import threading

import pytest

from atoll import errors as public_errors
from atoll._definitions import events, keys
from atoll._instance import backend
from atoll._location import framing, relay, relay_backend
from atoll.events.v1 import events_pb2
from atoll.mesh.v1 import instance_pb2, mesh_pb2
from atoll.process.v1 import process_pb2

KEY = keys.AssetKey("sales")


def _stored(number: int) -> events_pb2.StoredEvent:
    event = events_pb2.Event(run_id="r")
    event.asset_materialization.asset_key.path.append("sales")
    return events_pb2.StoredEvent(id=number, event=event)


class CodeServer:
    """The other end of the socket: answers each query with what `answer` makes of it."""

    def __init__(self, path: str, answer) -> None:
        self.hellos = []
        self.queries = []
        self._answer = answer
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        self._threads = [threading.Thread(target=self._accept)]
        self._connections = []
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            channel = framing.Channel(connection, process_pb2.ProcessMessage)
            self._connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(channel,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, channel) -> None:
        with contextlib.suppress(OSError), contextlib.closing(channel):
            while (message := channel.receive(10)) is not None:
                if message.HasField("hello"):
                    self.hellos.append(message.hello)
                    continue
                self.queries.append(message)
                answer = self._answer(message.instance_query)
                if answer is None:
                    return
                for one in answer:
                    channel.send(process_pb2.ServerMessage(instance_answer=one))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()


@pytest.fixture
def socket_path(tmp_path):
    return str(tmp_path / "s")


@pytest.fixture
def serve(socket_path):
    servers = []

    def start(answer) -> CodeServer:
        server = CodeServer(socket_path, answer)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def link(socket_path):
    introduction = relay.Introduction(
        socket_path, process_pb2.PROCESS_ROLE_RUN_WORKER, "nonce", "run-1"
    )
    made = relay.ServerLink(introduction)
    yield made
    made.close()


def _answer(query, **fields) -> process_pb2.InstanceAnswer:
    return process_pb2.InstanceAnswer(query_id=query.query_id, **fields)


def _error(query, reason: str) -> process_pb2.InstanceAnswer:
    error = process_pb2.InstanceError(reason=reason, message=f"told: {reason}")
    return _answer(query, error=error)


def test_the_newest_materializations_come_by_key(serve, link):
    found = mesh_pb2.GetLatestMaterializationsResponse(events=[_stored(7)])
    server = serve(lambda query: [_answer(query, get_latest_materializations=found)])
    records = relay_backend.RelayBackend(link).latest_materializations([KEY, keys.AssetKey("none")])
    assert {key: record.storage_id for key, record in records.items()} == {KEY: 7}
    assert records[KEY].event_type is events.EventType.ASSET_MATERIALIZATION
    (hello,) = server.hellos
    assert (hello.nonce, hello.run_id, hello.pid) == ("nonce", "run-1", os.getpid())


def test_a_question_for_events_travels_whole(serve, link):
    found = instance_pb2.ListEventsResponse(events=[_stored(3)], has_more=True)
    server = serve(lambda query: [_answer(query, list_events=found)])
    question = backend.EventsQuery(
        event_types=(events.EventType.ASSET_OBSERVATION, events.EventType.RUN_SUCCESS),
        run_id="r",
        asset_key=KEY,
        partitions=("p",),
        job_names=("j",),
        after_id=1,
        before_id=9,
        after_timestamp=1.5,
        before_timestamp=1e300,
        storage_ids=(3,),
        ascending=True,
        limit=5,
    )
    records, more = relay_backend.RelayBackend(link).log_records(question)
    assert [record.storage_id for record in records] == [3]
    assert more
    asked = server.queries[0].instance_query.list_events
    expected = instance_pb2.ListEventsRequest(
        run_id="r",
        kinds=["asset_observation", "run_succeeded"],
        partitions=["p"],
        job_names=["j"],
        after_id=1,
        before_id=9,
        event_ids=[3],
        ascending=True,
        page_size=5,
    )
    expected.asset_key.path.append("sales")
    expected.after_time.FromMilliseconds(1500)
    expected.before_time.seconds = 253402300799
    assert asked == expected


def test_a_run_that_is_not_there_is_none(serve, link):
    run = mesh_pb2.InstanceRun(run_id="x", status="SUCCESS", job_name="j")
    known = {"x": mesh_pb2.GetRunResponse(run=run)}
    serve(
        lambda query: [
            _answer(query, get_run=known.get(query.get_run.run_id, mesh_pb2.GetRunResponse()))
        ]
    )
    ours = relay_backend.RelayBackend(link)
    assert ours.run_record("y") is None
    assert ours.run_record("x").run.is_success


def test_without_a_code_server_the_error_says_so(link):
    with pytest.raises(public_errors.InstanceUnavailableError, match="code server") as caught:
        relay_backend.RelayBackend(link).run_record("x")
    assert caught.value.reason == "CODE_SERVER_UNREACHABLE"


def test_an_error_of_the_host_keeps_its_reason_and_words(serve, link):
    serve(lambda query: [_error(query, "INVALID_REQUEST")])
    with pytest.raises(public_errors.InstanceUnavailableError, match="told: INVALID") as caught:
        relay_backend.RelayBackend(link, patience_s=10).run_record("x")
    assert caught.value.reason == "INVALID_REQUEST"


def test_an_answer_that_does_not_come_is_an_error_and_a_late_one_is_not_mixed_up(serve, link):
    # The answer to each question comes only with the next one.
    late = []

    def answer(query):
        late.append(_answer(query, get_run=mesh_pb2.GetRunResponse()))
        return late[-2:-1]

    serve(answer)
    ours = relay_backend.RelayBackend(link, answer_timeout_s=0.02)
    for _ in range(3):
        with pytest.raises(public_errors.InstanceUnavailableError, match=r"within 0\.02 s"):
            ours.run_record("x")


def test_a_patient_worker_asks_again_while_the_host_is_away(serve, link):
    answers = iter(["HOST_UNAVAILABLE", "HOST_UNAVAILABLE", ""])

    def answer(query):
        reason = next(answers)
        return [
            _error(query, reason) if reason else _answer(query, get_run=mesh_pb2.GetRunResponse())
        ]

    server = serve(answer)
    assert relay_backend.RelayBackend(link, patience_s=10).run_record("x") is None
    assert len(server.queries) == 3


def test_a_patient_worker_connects_again_after_a_restart(serve, link):
    answers = iter([True, False, True])

    def answer(query):
        return [_answer(query, get_run=mesh_pb2.GetRunResponse())] if next(answers) else None

    server = serve(answer)
    ours = relay_backend.RelayBackend(link, patience_s=10)
    assert ours.run_record("x") is None
    assert ours.run_record("x") is None
    assert len(server.hellos) == 2


def test_patience_ends(serve, link):
    server = serve(lambda query: [_error(query, "HOST_UNAVAILABLE")])
    with pytest.raises(public_errors.InstanceUnavailableError, match="told: HOST"):
        relay_backend.RelayBackend(link, patience_s=0.12).run_record("x")
    assert 2 <= len(server.queries) <= 4


def test_hints_never_fail(link):
    for _ in range(3):
        link.notify(process_pb2.ProcessMessage())


# A process of its own: one that has threads, as that of the tests has, must not fork.
FORKING = """
import os, sys
from atoll._location import relay, relay_backend
from atoll.process.v1 import process_pb2

role = process_pb2.PROCESS_ROLE_RUN_WORKER
link = relay.ServerLink(relay.Introduction(sys.argv[1], role, "nonce", "run-1"))
ours = relay_backend.RelayBackend(link)
ours.run_record("x")
pid = os.fork()
if pid == 0:
    ours.run_record("x")
    os._exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
ours.run_record("x")
print(os.getpid(), pid)
"""


@pytest.mark.slow
def test_a_forked_child_speaks_on_a_connection_of_its_own(serve, socket_path):
    server = serve(lambda query: [_answer(query, get_run=mesh_pb2.GetRunResponse())])
    outcome = subprocess.run(
        [sys.executable, "-c", FORKING, socket_path],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    parent, child = map(int, outcome.stdout.split())
    assert [hello.pid for hello in server.hellos] == [parent, child]
    assert len(server.queries) == 3
