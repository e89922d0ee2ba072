"""What `atoll check` takes for 10 to 50,000 assets, and whether that is linear in their number."""

from benchmarks import definitions, growth, processes, report, rig

# Where an asset costs little beside the start of processes, only many samples tell it.
ROUNDS = {10: 20, 100: 20, 1000: 10, 10_000: 3, 50_000: 3}


async def measure(place: rig.Rig) -> list[report.Measured]:
    """Check locations of several sizes, several times each."""
    spent = {
        assets: _checks(place, assets, place.count(rounds)) for assets, rounds in ROUNDS.items()
    }
    return [
        *(
            report.Measured(f"check_{assets}", [one.wall_s for one in seen])
            for assets, seen in spent.items()
        ),
        *growth.measured("check", spent),
    ]


def _checks(place: rig.Rig, assets: int, rounds: int) -> list[processes.Spent]:
    folder = place.folder("check")
    (folder / "definitions.py").write_text(definitions.many_assets(assets))
    command = [processes.atoll_command(), "check", "--file", "definitions.py", "--name", "many"]
    environment = processes.inherited_environment()
    # The first writes bytecode, as installing does, and is not counted.
    return [
        processes.run(command, environment=environment, folder=folder) for _ in range(rounds + 1)
    ][1:]
