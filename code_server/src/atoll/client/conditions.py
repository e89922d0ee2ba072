"""Automation conditions and their evaluations, as a host knows them."""

from collections.abc import AsyncIterator, Sequence
from typing import cast

import grpc.aio

from atoll.api.v1 import conditions_pb2, conditions_pb2_grpc
from atoll.client import calls
from atoll.definitions.v1 import conditions_pb2 as definition_pb2


class Conditions:
    """Lists what has a condition and shows what it came to."""

    def __init__(self, channel: grpc.aio.Channel, caller: calls.Caller) -> None:
        self._stub = cast(
            "conditions_pb2_grpc.ConditionsServiceAsyncStub",
            conditions_pb2_grpc.ConditionsServiceStub(channel),
        )
        self._caller = caller

    def list(
        self, *, location_name: str = "", sensor_name: str = "", limit: int | None = None
    ) -> AsyncIterator[conditions_pb2.ConditionTarget]:
        """Yield what has a condition, by location and name.

        Args:
            location_name: Only those of this location; empty means all.
            sensor_name: Only those that this sensor evaluates; empty means all.
            limit: How many at the most; None means all.
        """

        async def fetch(
            size: int, token: str
        ) -> tuple[Sequence[conditions_pb2.ConditionTarget], str]:
            request = conditions_pb2.ListConditionsRequest(
                page_size=size,
                page_token=token,
                location_name=location_name,
                sensor_name=sensor_name,
            )
            answer = await self._caller.unary(self._stub.ListConditions, request)
            return answer.targets, answer.next_page_token

        return calls.paged(fetch, limit)

    async def get(self, entity: definition_pb2.ConditionEntity) -> conditions_pb2.ConditionTarget:
        """Return one asset, check or job with a condition."""
        request = conditions_pb2.GetConditionRequest(entity=entity)
        return (await self._caller.unary(self._stub.GetCondition, request)).target

    def evaluations(
        self,
        entity: definition_pb2.ConditionEntity,
        *,
        requested_only: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[conditions_pb2.ConditionEvaluation]:
        """Yield the kept evaluations of one, newest first, without their explanations.

        Args:
            entity: The asset, check or job.
            requested_only: Only those that requested something.
            limit: How many at the most; None means all.
        """

        async def fetch(
            size: int, token: str
        ) -> tuple[Sequence[conditions_pb2.ConditionEvaluation], str]:
            request = conditions_pb2.ListEvaluationsRequest(
                entity=entity, page_size=size, page_token=token, requested_only=requested_only
            )
            answer = await self._caller.unary(self._stub.ListEvaluations, request)
            return answer.evaluations, answer.next_page_token

        return calls.paged(fetch, limit)

    async def evaluation(
        self, entity: definition_pb2.ConditionEntity, evaluation_id: int = 0
    ) -> conditions_pb2.ConditionEvaluation:
        """Return one evaluation with its explanation.

        Args:
            entity: The asset, check or job.
            evaluation_id: Its number; zero means the newest.
        """
        request = conditions_pb2.GetEvaluationRequest(entity=entity, evaluation_id=evaluation_id)
        return (await self._caller.unary(self._stub.GetEvaluation, request)).evaluation
