"""Captured output: pieces without gaps, from the server of the run only."""

import pytest

from atoll_storage import errors
from atoll_storage.database import Database
from atoll_storage.records import OutputPiece
from tests.storage import support

pytestmark = pytest.mark.postgres

SOURCE = {"location_name": "a", "server_id": "s1", "epoch": 1}


async def test_pieces_follow_each_other(database: Database):
    run_id = (await support.started_run(database)).run_id
    append = database.outputs.append
    assert await append(OutputPiece(run_id, "s", 1, 5, b"gap"), **SOURCE) == 0
    assert await append(OutputPiece(run_id, "s", 1, 0, b"hello"), **SOURCE) == 5
    assert await append(OutputPiece(run_id, "s", 1, 0, b"hello"), **SOURCE) == 5
    assert await append(OutputPiece(run_id, "s", 1, 5, b""), **SOURCE) == 5
    assert await append(OutputPiece(run_id, "s", 1, 5, b"\0\xff"), **SOURCE) == 7
    assert await append(OutputPiece(run_id, "s", 2, 0, b"err"), **SOURCE) == 3
    assert await append(OutputPiece(run_id, "", 1, 0, b"outside"), **SOURCE) == 7
    read = [
        (p.step_key, p.stream, p.offset, p.data) async for p in database.outputs.read(run_id, None)
    ]
    assert read == [
        ("", 1, 0, b"outside"),
        ("s", 1, 0, b"hello"),
        ("s", 1, 5, b"\0\xff"),
        ("s", 2, 0, b"err"),
    ]
    assert [p.data async for p in database.outputs.read(run_id, "")] == [b"outside"]
    assert [p async for p in database.outputs.read("none", None)] == []


async def test_long_output_is_read_in_pages(database: Database):
    run_id = (await support.started_run(database)).run_id
    for number in range(70):
        await database.outputs.append(OutputPiece(run_id, "s", 1, number, b"x"), **SOURCE)
    offsets = [piece.offset async for piece in database.outputs.read(run_id, "s")]
    assert offsets == list(range(70))


async def test_only_the_server_of_the_run_may_write(database: Database):
    run_id = (await support.started_run(database)).run_id
    await database.locations.register(support.registration(server_id="s2"))
    piece = OutputPiece(run_id, "s", 1, 0, b"x")
    with pytest.raises(errors.RunFenced, match="'s1'"):
        await database.outputs.append(piece, **{**SOURCE, "server_id": "s2"})
    with pytest.raises(errors.StaleEpoch) as raised:
        await database.outputs.append(piece, **{**SOURCE, "epoch": 9})
    assert raised.value.current_epoch == 1
    with pytest.raises(errors.RunFenced, match="unknown run"):
        await database.outputs.append(OutputPiece("none", "s", 1, 0, b"x"), **SOURCE)
    assert [p async for p in database.outputs.read(run_id, None)] == []
