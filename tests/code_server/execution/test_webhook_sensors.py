"""Webhook sensors in a test: what their function receives, and what it may decide."""

import datetime as dt

import pytest

import atoll as dg
from atoll import errors
from atoll._wire import snapshot, ticks
from atoll.definitions.v1 import snapshot_pb2
from atoll.location.v1 import location_pb2


@dg.op
def load() -> None: ...


@dg.job
def load_order() -> None:
    load()


@dg.webhook_sensor(job=load_order)
def new_order(context: dg.SensorEvaluationContext, request: dg.WebhookRequest):
    order = request.json()
    if not order["items"]:
        return dg.SkipReason("an empty order")
    context.update_cursor(request.delivery_id)
    return dg.RunRequest(run_key=str(order["id"]), tags={"from": request.headers["x-shop"]})


def evaluate(sensor, body=b"{}", **fields):
    request = dg.WebhookRequest(body, **fields)
    return sensor.evaluate_tick(dg.build_sensor_context(webhook_request=request))


def test_a_delivery_becomes_a_run_request():
    told = evaluate(
        new_order, b'{"id": 7, "items": [1]}', headers={"X-Shop": "north"}, delivery_id="d1"
    )
    (request,) = told.run_requests
    assert (request.run_key, request.job_name, request.tags["from"]) == ("7", "load_order", "north")
    assert told.cursor == "d1"


def test_a_delivery_may_be_skipped():
    assert evaluate(new_order, b'{"items": []}').skip_message == "an empty order"
    told = new_order.evaluate_tick(dg.build_sensor_context())
    assert told.skip_message == "No delivery waits."


def test_the_function_takes_what_it_names():
    seen = []

    @dg.webhook_sensor(name="one")
    def only_request(request):
        seen.append(request.text)

    @dg.webhook_sensor(name="two")
    def only_context(context):
        seen.append(context.webhook_request.content_type)

    @dg.webhook_sensor(name="three")
    def with_resource(context, payload, store: dg.ResourceParam[str]):
        seen.append((payload.delivery_id, store))

    evaluate(only_request, "grün".encode())
    evaluate(only_context, headers={"Content-Type": "Application/JSON; charset=utf-8"})
    context = dg.build_sensor_context(
        webhook_request=dg.WebhookRequest(delivery_id="d"), resources={"store": "disk"}
    )
    with_resource.evaluate_tick(context)
    assert seen == ["grün", "application/json", ("d", "disk")]


def test_it_may_be_called_directly():
    request = dg.WebhookRequest(b'{"items": []}')
    assert new_order(dg.build_sensor_context(), request).skip_message == "an empty order"


def test_a_body_that_is_no_json_is_the_failure_of_the_tick():
    with pytest.raises(errors.UserCodeExecutionError, match="JSONDecodeError"):
        evaluate(new_order, b"<xml/>")


def test_what_makes_no_sense_is_told():
    with pytest.raises(errors.InvalidDefinitionError, match="part of an address"):
        dg.webhook_sensor(name="a/b")(lambda request: None)
    with pytest.raises(errors.InvalidInvocationError, match="bytes, got str"):
        dg.WebhookRequest("text")


def test_the_snapshot_says_what_it_is():
    (message,) = snapshot.to_message(dg.Definitions(jobs=[load_order], sensors=[new_order])).sensors
    assert message.kind == snapshot_pb2.SENSOR_KIND_WEBHOOK
    assert message.minimum_interval.ToNanoseconds() == 0


def test_a_delivery_travels_whole():
    when = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    delivery = location_pb2.WebhookDelivery(
        delivery_id="d", receive_time=when, headers={"a": "b"}, body=b"\xff"
    )
    due = ticks.due_from_message(location_pb2.EvaluateSensorRequest(webhook_delivery=delivery))
    assert due.webhook_request == dg.WebhookRequest(b"\xff", {"a": "b"}, "d", when)
