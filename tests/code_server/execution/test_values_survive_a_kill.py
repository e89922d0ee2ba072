"""A process that is killed while it stores leaves the old value or the new one, never a mixture."""

import os
import signal
import subprocess
import sys
import time

import pytest

import atoll as dg
from atoll._execution import io_managers

WRITER = """
import sys
import atoll as dg
from atoll._execution import io_managers
manager = dg.FilesystemIOManager(sys.argv[1])
number = int(sys.argv[2])
while True:
    number += 1
    value = [number] * 20_000 if number % 2 else (number,) * 20_000
    manager.handle_output(io_managers.OutputContext("s", asset_key=dg.AssetKey("a")), value)
    print(number, flush=True)
"""


def _load(manager):
    return manager.load_input(io_managers.InputContext(asset_key=dg.AssetKey("a")))


@pytest.mark.e2e
@pytest.mark.slow
def test_a_killed_writer_leaves_a_whole_value(tmp_path):
    manager = dg.FilesystemIOManager(tmp_path)
    written = 0
    for round_number in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(written)],
            stdout=subprocess.PIPE,
            text=True,
        ) as writer:
            try:
                for _ in range(3 + round_number):
                    written = int(writer.stdout.readline())
                # The reader works beside the writer, at other moments in each round.
                deadline = time.monotonic() + 0.05 * round_number
                while time.monotonic() < deadline:
                    value = _load(manager)
                    assert set(value) == {value[0]}
            finally:
                os.kill(writer.pid, signal.SIGKILL)
            rest = writer.stdout.read().splitlines()
            written = max([written, *(int(line) for line in rest if line)])
        value = _load(manager)
        assert len(value) == 20_000
        assert set(value) == {value[0]}
        # What was told as stored is stored; the next one may be.
        assert value[0] in (written, written + 1)
        written = value[0]
