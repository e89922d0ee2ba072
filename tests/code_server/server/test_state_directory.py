"""A state directory has one holder at a time and keeps the identity of its code server."""

import socket
import stat

import pytest

from atoll._server import errors, state_directory


def test_the_identity_is_kept_over_restarts(tmp_path):
    first = state_directory.StateDirectory(tmp_path / "state")
    first.open().close()
    server_id = first.server_id
    first.close()
    second = state_directory.StateDirectory(tmp_path / "state")
    second.open().close()
    second.close()
    assert server_id
    assert second.server_id == server_id


def test_a_second_code_server_is_refused_with_the_holder_named(tmp_path):
    first = state_directory.StateDirectory(tmp_path)
    listener = first.open()
    with pytest.raises(errors.StateDirectoryError, match="another code server holds it"):
        state_directory.StateDirectory(tmp_path).open()
    # The refusal took nothing from the holder.
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(first.socket_path)
    listener.close()
    first.close()


def test_only_the_owner_may_enter(tmp_path):
    state = state_directory.StateDirectory(tmp_path / "state")
    state.open().close()
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    state.close()


def test_a_long_path_gets_its_socket_elsewhere_and_always_at_the_same_place(tmp_path):
    path = tmp_path / ("long" * 30)
    places = []
    for _ in range(2):
        state = state_directory.StateDirectory(path)
        state.open().close()
        places.append(state.socket_path)
        assert (path / "socket_path").read_text().strip() == state.socket_path
        state.close()
    assert places[0] == places[1]
    assert len(places[0]) < 100


def test_what_cannot_be_a_directory_is_refused_clearly(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.StateDirectoryError, match="--state-dir"):
        state_directory.StateDirectory(tmp_path / "file").open()
