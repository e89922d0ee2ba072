"""Runs that ended are remembered over restarts, and not for ever."""

from atoll._server import ended_runs


def run(number: int) -> ended_runs.EndedRun:
    return ended_runs.EndedRun(run_id=f"r{number}", attempt=1, build_id="b")


def test_runs_are_remembered_over_a_restart(tmp_path):
    path = tmp_path / "ended_runs"
    ended_runs.EndedRuns(path).add(run(1))
    assert ended_runs.EndedRuns(path).find("r1") == run(1)
    assert ended_runs.EndedRuns(path).find("r2") is None


def test_a_line_cut_short_spoils_nothing_else(tmp_path):
    path = tmp_path / "ended_runs"
    ended_runs.EndedRuns(path).add(run(1))
    with path.open("a") as file:
        file.write('{"run_id": "r2", "att')
    again = ended_runs.EndedRuns(path)
    assert again.find("r1") == run(1)
    again.add(run(3))
    assert ended_runs.EndedRuns(path).find("r3") == run(3)


def test_the_oldest_are_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr(ended_runs, "REMEMBERED_MAX", 5)
    path = tmp_path / "ended_runs"
    runs = ended_runs.EndedRuns(path)
    for number in range(40):
        runs.add(run(number))
    assert runs.find("r34") is None
    assert runs.find("r35") == run(35)
    assert len(path.read_text().splitlines()) <= 11
