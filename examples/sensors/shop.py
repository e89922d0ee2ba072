"""A shop: orders come by webhook, sales are kept by day."""

import atoll as dg

customers = dg.DynamicPartitionsDefinition(name="customers")
days = dg.DailyPartitionsDefinition(start_date="2026-01-01", end_date="2026-03-01")


class Order(dg.Config):
    """What a run loads."""

    order_id: int = 0
    pieces: int = 1


@dg.asset(partitions_def=customers)
def orders(context: dg.AssetExecutionContext, config: Order) -> dg.MaterializeResult:
    """The orders of one customer."""
    if config.pieces < 1:
        raise dg.Failure(f"order {config.order_id} of {context.partition_key} has no pieces")
    return dg.MaterializeResult(metadata={"order": config.order_id, "pieces": config.pieces})


load_order = dg.define_asset_job("load_order", selection=[orders])


@dg.webhook_sensor(job=load_order, default_status=dg.DefaultSensorStatus.RUNNING)
def new_order(request: dg.WebhookRequest):
    """Load an order when the shop tells of it; a customer who is new becomes a partition."""
    order = request.json()
    customer = order["customer"]
    config = Order(order_id=order["id"], pieces=order["pieces"])
    return dg.SensorResult(
        run_requests=[
            dg.RunRequest(
                run_key=f"order-{order['id']}",
                partition_key=customer,
                run_config=dg.RunConfig(ops={"orders": config}),
            )
        ],
        dynamic_partitions_requests=[customers.build_add_request([customer])],
    )


@dg.asset(partitions_def=days, backfill_policy=dg.BackfillPolicy.single_run())
def sales(context: dg.AssetExecutionContext) -> None:
    """What was sold on a day; one run may do many days."""
    context.log.info("sold on %s", ", ".join(context.partition_keys))


@dg.op
def close_the_books() -> None:
    """End the day."""


@dg.job
def nightly() -> None:
    """What happens every night."""
    close_the_books()


defs = dg.Definitions(assets=[orders, sales], jobs=[load_order, nightly], sensors=[new_order])
