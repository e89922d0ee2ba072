"""Over the assets of one location, the host says of staleness what the location says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import atoll as dg
from atoll._wire import snapshot as snapshots
from atoll.api.v1 import assets_pb2
from atoll_host.api import staleness
from atoll_host.locations import definitions, graph

pytestmark = pytest.mark.slow

NAMES = ["a", "b", "c", "d", "e"]


@st.composite
def worlds(draw):
    """What assets depend on, their code versions, and what the log has, oldest first."""
    deps = {
        name: draw(st.sets(st.sampled_from(NAMES[:number]))) if number else set()
        for number, name in enumerate(NAMES)
    }
    versions = {name: draw(st.sampled_from([None, "1", "2"])) for name in NAMES}
    bare = draw(st.sets(st.sampled_from(NAMES), max_size=2))
    events = draw(
        st.lists(
            st.tuples(
                st.sampled_from(NAMES),
                st.booleans(),
                st.sampled_from([None, "1", "2"]),
                st.sampled_from([None, "x", "y"]),
                st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["x", "y", "INITIAL"])),
            ),
            max_size=12,
        )
    )
    return deps, versions, bare, events


def tags_of(code: str | None, data: str | None, used: dict[str, str]) -> dict[str, str]:
    tags = {} if code is None else {"atoll/code_version": code}
    if data is not None:
        tags["atoll/data_version"] = data
    tags.update({f"atoll/input_data_version/{name}": value for name, value in used.items()})
    return tags


def made(name: str, deps: set[str], version: str | None) -> dg.AssetsDefinition:
    @dg.asset(name=name, deps=sorted(deps), code_version=version)
    def compute() -> None:
        return None

    return compute


@settings(max_examples=60)
@given(worlds())
def test_both_say_the_same(world):
    deps, versions, bare, events = world
    defs = dg.Definitions(
        assets=[
            dg.AssetSpec(name, deps=sorted(deps[name]), code_version=versions[name])
            if name in bare
            else made(name, deps[name], versions[name])
            for name in NAMES
        ]
    )
    instance = dg.Instance.ephemeral()
    for name, observed, code, data, used in events:
        kind = dg.AssetObservation if observed else dg.AssetMaterialization
        instance.report_runless_asset_event(kind(name, tags=tags_of(code, data, used)))
    told = dg.Staleness(defs, instance)

    encoded = snapshots.to_message(defs).SerializeToString(deterministic=True)
    defined = definitions.decode("digest", encoded)
    merged = graph.AssetGraph({"town": defined}, dict.fromkeys(defined.executable, "town"))
    known = {}
    for name in NAMES:
        record = instance.get_latest_data_version_record(name)
        if record is not None:
            materialization = record.asset_materialization
            event = materialization or record.asset_observation
            known[(name,)] = staleness.Version(
                record.storage_id, materialization is not None, dict(event.tags or {})
            )
    found = staleness.Staleness(merged.node, known)
    for name in NAMES:
        status = assets_pb2.StaleStatus.Name(found.status((name,)))
        assert status == f"STALE_STATUS_{told.status(name).value}", name
        reasons = sorted(cause.reason for cause in found.causes((name,)))
        assert reasons == sorted(cause.reason for cause in told.causes(name)), name
