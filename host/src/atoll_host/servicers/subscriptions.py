"""SubscriptionsService: makes, shows and steers subscriptions to events."""

from atoll.api.v1 import alerts_pb2, subscriptions_pb2, subscriptions_pb2_grpc
from atoll_host import errors
from atoll_host.api import pages
from atoll_host.servicers import contexts
from atoll_host.subscriptions import subscribing
from atoll_storage import subscription_delivery_store


class SubscriptionsServicer(subscriptions_pb2_grpc.SubscriptionsServiceServicer):
    """Translates between calls and `subscribing`."""

    def __init__(
        self,
        subscribing_: subscribing.Subscribing,
        deliveries: subscription_delivery_store.SubscriptionDeliveryStore,
    ) -> None:
        self._subscribing = subscribing_
        self._deliveries = deliveries

    async def CreateSubscription(
        self, request: subscriptions_pb2.CreateSubscriptionRequest, context: contexts.Context
    ) -> subscriptions_pb2.CreateSubscriptionResponse:
        """Make a subscription."""
        made, secret = await self._subscribing.create(request)
        return subscriptions_pb2.CreateSubscriptionResponse(subscription=made, secret=secret)

    async def GetSubscription(
        self, request: subscriptions_pb2.GetSubscriptionRequest, context: contexts.Context
    ) -> subscriptions_pb2.GetSubscriptionResponse:
        """Return one subscription."""
        record = await self._subscribing.get(request.name)
        return subscriptions_pb2.GetSubscriptionResponse(subscription=record.told)

    async def ListSubscriptions(
        self, request: subscriptions_pb2.ListSubscriptionsRequest, context: contexts.Context
    ) -> subscriptions_pb2.ListSubscriptionsResponse:
        """Return subscriptions, by name."""
        page = pages.Page(request)
        shown, more = await self._subscribing.page(page.after_name, page.size)
        token = page.token(shown[-1].name) if more else ""
        return subscriptions_pb2.ListSubscriptionsResponse(
            subscriptions=shown, next_page_token=token
        )

    async def UpdateSubscription(
        self, request: subscriptions_pb2.UpdateSubscriptionRequest, context: contexts.Context
    ) -> subscriptions_pb2.UpdateSubscriptionResponse:
        """Change what is given."""
        changed = await self._subscribing.update(request)
        return subscriptions_pb2.UpdateSubscriptionResponse(subscription=changed)

    async def PauseSubscription(
        self, request: subscriptions_pb2.PauseSubscriptionRequest, context: contexts.Context
    ) -> subscriptions_pb2.PauseSubscriptionResponse:
        """Send nothing any more."""
        changed = await self._subscribing.pause(request.name)
        return subscriptions_pb2.PauseSubscriptionResponse(subscription=changed)

    async def ResumeSubscription(
        self, request: subscriptions_pb2.ResumeSubscriptionRequest, context: contexts.Context
    ) -> subscriptions_pb2.ResumeSubscriptionResponse:
        """Send again."""
        changed = await self._subscribing.resume(request.name)
        return subscriptions_pb2.ResumeSubscriptionResponse(subscription=changed)

    async def DeleteSubscription(
        self, request: subscriptions_pb2.DeleteSubscriptionRequest, context: contexts.Context
    ) -> subscriptions_pb2.DeleteSubscriptionResponse:
        """Forget a subscription."""
        await self._subscribing.delete(request.name)
        return subscriptions_pb2.DeleteSubscriptionResponse()

    async def TestSubscription(
        self, request: subscriptions_pb2.TestSubscriptionRequest, context: contexts.Context
    ) -> subscriptions_pb2.TestSubscriptionResponse:
        """Send a request that no event caused."""
        delivery = await self._subscribing.test(request.name)
        return subscriptions_pb2.TestSubscriptionResponse(delivery=delivery)

    async def RotateSecret(
        self, request: subscriptions_pb2.RotateSecretRequest, context: contexts.Context
    ) -> subscriptions_pb2.RotateSecretResponse:
        """Make a new secret."""
        return await self._subscribing.rotate(request)

    async def ListDeliveries(
        self, request: subscriptions_pb2.ListDeliveriesRequest, context: contexts.Context
    ) -> subscriptions_pb2.ListDeliveriesResponse:
        """Return deliveries of a subscription, newest first."""
        page = pages.Page(request)
        for status in request.statuses:
            if status not in alerts_pb2.DeliveryStatus.values() or not status:
                raise errors.InvalidRequest(
                    f"{status} is no state of a delivery. Name one of atoll.api.v1.DeliveryStatus.",
                    field="statuses",
                )
        await self._subscribing.get(request.name)
        found = await self._deliveries.page(
            request.name,
            limit=page.size + 1,
            before=page.after_id,
            statuses=request.statuses,
        )
        shown, token = page.fitting(found, lambda each: (each.first_event_id,))
        return subscriptions_pb2.ListDeliveriesResponse(deliveries=shown, next_page_token=token)

    async def GetDelivery(
        self, request: subscriptions_pb2.GetDeliveryRequest, context: contexts.Context
    ) -> subscriptions_pb2.GetDeliveryResponse:
        """Return one delivery with what is sent."""
        delivery, body = await self._subscribing.delivery(request.name, request.delivery_id)
        return subscriptions_pb2.GetDeliveryResponse(delivery=delivery, body=body.decode())

    async def RedeliverDelivery(
        self, request: subscriptions_pb2.RedeliverDeliveryRequest, context: contexts.Context
    ) -> subscriptions_pb2.RedeliverDeliveryResponse:
        """Send a delivery once more."""
        delivery = await self._subscribing.redeliver(request.name, request.delivery_id)
        return subscriptions_pb2.RedeliverDeliveryResponse(delivery=delivery)
