"""ConditionsService: what automation conditions came to, for everyone."""

from collections.abc import Sequence

from atoll import errors as location_errors
from atoll._condition_messages import entities as entity_messages
from atoll._conditions import entities
from atoll.api.v1 import conditions_pb2, conditions_pb2_grpc
from atoll.definitions.v1 import conditions_pb2 as definition_pb2
from atoll_host import errors
from atoll_host.api import conditions, pages
from atoll_host.automation.conditions import deciding
from atoll_host.locations import graph
from atoll_host.locations import registry as registries
from atoll_host.servicers import contexts
from atoll_storage import condition_store, sensor_store


class ConditionsServicer(conditions_pb2_grpc.ConditionsServiceServicer):
    """Shows conditions and their evaluations."""

    def __init__(
        self,
        store: condition_store.ConditionStore,
        sensors: sensor_store.SensorStore,
        registry: registries.Registry,
    ) -> None:
        self._store = store
        self._sensors = sensors
        self._registry = registry
        self._found_in: graph.AssetGraph | None = None
        self._found: dict[entities.Entity, conditions.Found] = {}

    async def ListConditions(
        self, request: conditions_pb2.ListConditionsRequest, context: contexts.Context
    ) -> conditions_pb2.ListConditionsResponse:
        """Return what has a condition, by location and name."""
        page = pages.Page(request)
        if request.location_name:
            self._registry.location(request.location_name)
        after = tuple(map(str, page.after)) if page.after else ("", "", "")
        found = [
            one
            for one in self._find_all().values()
            if one.order > after
            and request.location_name in {"", one.location_name}
            and (not request.sensor_name or request.sensor_name in {s.name for s in one.sensors})
        ]
        shown, token = page.fitting(found, lambda each: each.order)
        return conditions_pb2.ListConditionsResponse(
            targets=await self._rendered(shown),
            next_page_token=token,
        )

    async def GetCondition(
        self, request: conditions_pb2.GetConditionRequest, context: contexts.Context
    ) -> conditions_pb2.GetConditionResponse:
        """Return one of them."""
        entity = _entity(request.entity)
        found = self._find_all().get(entity)
        if found is None:
            raise errors.UnknownCondition(str(entity))
        (target,) = await self._rendered([found])
        return conditions_pb2.GetConditionResponse(target=target)

    async def ListEvaluations(
        self, request: conditions_pb2.ListEvaluationsRequest, context: contexts.Context
    ) -> conditions_pb2.ListEvaluationsResponse:
        """Return kept evaluations of one, newest first."""
        page = pages.Page(request)
        found = await self._store.evaluations(
            deciding.target_key(_entity(request.entity)),
            limit=page.size + 1,
            before_id=page.after_id,
            requested_only=request.requested_only,
        )
        shown, token = page.fitting(found, lambda each: (each.evaluation_id,))
        return conditions_pb2.ListEvaluationsResponse(
            evaluations=[conditions.evaluation(each, explained=False) for each in shown],
            next_page_token=token,
        )

    async def GetEvaluation(
        self, request: conditions_pb2.GetEvaluationRequest, context: contexts.Context
    ) -> conditions_pb2.GetEvaluationResponse:
        """Return one evaluation with its explanation."""
        entity = _entity(request.entity)
        key = deciding.target_key(entity)
        if request.evaluation_id:
            found = await self._store.evaluation(key, request.evaluation_id)
        else:
            found = (await self._store.latest([key])).get(key)
        if found is None:
            raise errors.UnknownEvaluation(str(entity), request.evaluation_id)
        return conditions_pb2.GetEvaluationResponse(
            evaluation=conditions.evaluation(found, explained=True)
        )

    def _find_all(self) -> dict[entities.Entity, conditions.Found]:
        """Return what has a condition, in the order of lists, until definitions change."""
        merged = self._registry.graph()
        if merged is not self._found_in:
            defined = {
                name: view.definitions
                for name, view in self._registry.locations().items()
                if view.definitions is not None
            }
            found: dict[entities.Entity, conditions.Found] = {}
            for one in conditions.find_all(defined, merged):
                found.setdefault(one.entity, one)
            self._found, self._found_in = found, merged
        return self._found

    async def _rendered(
        self, found: Sequence[conditions.Found]
    ) -> list[conditions_pb2.ConditionTarget]:
        if not found:
            return []
        keys = [deciding.target_key(one.entity) for one in found]
        states = {state.target_key: state for state in await self._store.states(keys)}
        latest = await self._store.latest(keys)
        sensors = {state.key: state for state in await self._sensors.states()}
        merged = self._registry.graph()
        return [
            conditions.render(one, merged, sensors, states.get(key), latest.get(key))
            for one, key in zip(found, keys, strict=True)
        ]


def _entity(message: definition_pb2.ConditionEntity) -> entities.Entity:
    try:
        return entity_messages.from_message(message)
    except location_errors.Error as error:
        raise errors.InvalidRequest(
            "The request names neither an asset, nor a check, nor a job. Give entity.",
            field="entity",
        ) from error
