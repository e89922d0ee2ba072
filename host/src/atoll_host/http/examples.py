"""Requests that show how calls look, for the description of the API. A test sends each of them."""

from collections.abc import Mapping
from typing import Any, Final

REQUESTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "atoll.api.v1.RunsService.LaunchRun": {
        "locationName": "sales",
        "jobName": "load",
        "tags": {"reason": "backfill of March"},
    },
    "atoll.api.v1.RunsService.GetRun": {"runId": "3f2c1a90-6a4e-4f0e-9a52-3f6f0f4f7d11"},
    "atoll.api.v1.RunsService.ListRuns": {
        "locationName": "sales",
        "statuses": ["RUN_STATUS_FAILURE"],
        "pageSize": 20,
    },
    "atoll.api.v1.RunsService.CancelRun": {
        "runId": "3f2c1a90-6a4e-4f0e-9a52-3f6f0f4f7d11",
        "reason": "wrong configuration",
    },
    "atoll.api.v1.EventsService.ListEvents": {
        "filter": {"locationName": "sales", "kinds": ["asset_materialization"]},
        "pageSize": 100,
    },
    "atoll.api.v1.EventsService.WatchEvents": {"filter": {"locationName": "sales"}},
}
"""Requests by the full names of their rpcs."""
