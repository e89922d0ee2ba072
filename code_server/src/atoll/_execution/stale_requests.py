"""Narrows run requests for stale assets only to the assets that are stale.

Called by `ticks` once a sensor or a schedule has decided. It is done here and not by whoever makes
the runs, because versions of code are known here; a request of which nothing is left asks for no
run.
"""

from atoll._definitions import definitions as all_definitions
from atoll._definitions import keys, run_requests, ticks
from atoll._execution import staleness
from atoll._instance import instance as instances

UP_TO_DATE_MESSAGE = "All assets of the requested runs are up to date."


def narrowed(
    result: ticks.TickResult,
    definitions: all_definitions.Definitions,
    instance: instances.Instance,
) -> ticks.TickResult:
    """Return what a tick decided, without the assets that need no run.

    Args:
        result: What it decided.
        definitions: The definitions of the location.
        instance: Knows the materializations.
    """
    if not any(one.stale_assets_only for one in result.run_requests):
        return result
    kept: list[run_requests.RunRequest] = []
    for request in result.run_requests:
        if not request.stale_assets_only:
            kept.append(request)
            continue
        stale = staleness.stale_assets_of(
            definitions, instance, _assets_of(request, definitions), request.partition_key
        )
        if stale:
            kept.append(request.with_replaced_attrs(asset_selection=stale, stale_assets_only=False))
    return ticks.TickResult(
        kept,
        result.skip_message if kept else UP_TO_DATE_MESSAGE,
        result.cursor,
        result.asset_events,
        result.dynamic_partitions_requests,
    )


def _assets_of(
    request: run_requests.RunRequest, definitions: all_definitions.Definitions
) -> list[keys.AssetKey]:
    if request.asset_selection is not None:
        return list(request.asset_selection)
    job = definitions.get_job_def(request.job_name or "")
    layer = job.asset_layer
    return [] if layer is None else sorted(layer.asset_keys)
