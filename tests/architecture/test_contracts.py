"""The shape of the protos: what buf cannot know."""

import importlib
import pkgutil

from google.protobuf import descriptor, descriptor_pb2

import atoll.api.v1
import atoll.definitions.v1
import atoll.events.v1
import atoll.location.v1
import atoll.mesh.v1
import atoll.process.v1
import atoll.rpc.v1
from atoll._rpc import options
from atoll.rpc.v1 import access_pb2

PACKAGES = [
    atoll.api.v1,
    atoll.definitions.v1,
    atoll.events.v1,
    atoll.location.v1,
    atoll.mesh.v1,
    atoll.process.v1,
    atoll.rpc.v1,
]
# User data with a content type, captured output, or an encoded message of a named type.
BYTES_ALLOWED = {
    "atoll.definitions.v1.UserData.data",
    "atoll.location.v1.StreamDefinitionsResponse.chunk",
    "atoll.mesh.v1.AppendOutputRequest.data",
    "atoll.api.v1.GetRunOutputResponse.data",
    "atoll.process.v1.Loaded.snapshot",
    "atoll.api.v1.CheckImpactRequest.chunk",
    # The body of a request of somebody else; its content type is among the headers.
    "atoll.location.v1.WebhookDelivery.body",
}
# What a second call does, for every rpc that changes something. A new rpc needs a decision here.
REPEATABLE = {
    "atoll.api.v1.AccessService.CreateToken": "one more token",
    "atoll.api.v1.AccessService.RevokeToken": "changes nothing",
    "atoll.api.v1.BackfillsService.CancelBackfill": "changes nothing",
    "atoll.api.v1.BackfillsService.CreateBackfill": "request id",
    "atoll.api.v1.BackfillsService.PauseBackfill": "changes nothing",
    "atoll.api.v1.BackfillsService.ResumeBackfill": "changes nothing",
    "atoll.api.v1.BackfillsService.RetryBackfill": "changes nothing",
    "atoll.api.v1.AlertsService.TestAlertRule": "one more message",
    "atoll.api.v1.LocationsService.ReloadLocation": "one more load",
    "atoll.api.v1.PartitionsService.AddDynamicPartitions": "request id",
    "atoll.api.v1.PartitionsService.DeleteDynamicPartitions": "request id",
    "atoll.api.v1.RetentionService.RunRetention": "one more sweep",
    "atoll.api.v1.PoolsService.DeletePool": "changes nothing",
    "atoll.api.v1.PoolsService.SetPoolLimit": "changes nothing",
    "atoll.api.v1.ReportsService.ReportCheckEvaluation": "request id",
    "atoll.api.v1.ReportsService.ReportMaterialization": "request id",
    "atoll.api.v1.ReportsService.ReportMaterializationFailure": "request id",
    "atoll.api.v1.ReportsService.ReportMaterializationStarted": "request id",
    "atoll.api.v1.ReportsService.ReportObservation": "request id",
    "atoll.api.v1.RunsService.CancelRun": "changes nothing",
    "atoll.api.v1.RunsService.CancelRuns": "changes nothing",
    "atoll.api.v1.RunsService.DeleteRun": "there is no such run",
    "atoll.api.v1.RunsService.LaunchRun": "request id",
    "atoll.api.v1.RunsService.ReexecuteRun": "request id",
    "atoll.api.v1.SchedulesService.DryRunSchedule": "one more evaluation",
    "atoll.api.v1.SensorsService.DryRunSensor": "one more evaluation",
    "atoll.api.v1.SensorsService.CreateWebhookSecret": "another secret",
    "atoll.api.v1.SensorsService.ResetSensorCursor": "resets once more",
    "atoll.api.v1.SensorsService.StartSensor": "changes nothing",
    "atoll.api.v1.SensorsService.StopSensor": "changes nothing",
    "atoll.api.v1.SubscriptionsService.CreateSubscription": "request id",
    "atoll.api.v1.SubscriptionsService.DeleteSubscription": "refused as unknown",
    "atoll.api.v1.SubscriptionsService.PauseSubscription": "changes nothing",
    "atoll.api.v1.SubscriptionsService.RedeliverDelivery": "changes nothing",
    "atoll.api.v1.SubscriptionsService.ResumeSubscription": "changes nothing",
    "atoll.api.v1.SubscriptionsService.RotateSecret": "another secret",
    "atoll.api.v1.SubscriptionsService.TestSubscription": "one more request",
    "atoll.api.v1.SubscriptionsService.UpdateSubscription": "changes nothing",
    "atoll.location.v1.CodeLocationService.CancelRun": "changes nothing",
    "atoll.location.v1.CodeLocationService.Drain": "changes nothing",
    "atoll.location.v1.CodeLocationService.EvaluateConditions": "one more evaluation",
    "atoll.api.v1.SchedulesService.StartSchedule": "changes nothing",
    "atoll.api.v1.SchedulesService.StopSchedule": "changes nothing",
    "atoll.location.v1.CodeLocationService.EvaluateSchedule": "one more evaluation",
    "atoll.location.v1.CodeLocationService.EvaluateSensor": "one more evaluation",
    "atoll.location.v1.CodeLocationService.Reload": "one more load",
    "atoll.location.v1.CodeLocationService.StartRun": "changes nothing",
    "atoll.mesh.v1.InstanceService.AcquireSlots": "changes nothing",
    "atoll.mesh.v1.InstanceService.AddDynamicPartitions": "request id",
    "atoll.mesh.v1.InstanceService.DeleteDynamicPartitions": "request id",
    "atoll.mesh.v1.InstanceService.ReportAssetEvent": "request id",
    "atoll.mesh.v1.MeshService.AppendEvents": "repeats are dropped",
    "atoll.mesh.v1.MeshService.AppendOutput": "repeats are dropped",
    "atoll.mesh.v1.MeshService.RenewRunCredentials": "another credential",
    "atoll.mesh.v1.MeshService.Session": "a higher epoch",
}
READING = ("Get", "List", "Count", "Watch", "Check", "Describe", "StreamDefinitions", "WhoAmI")


def _files() -> list[descriptor.FileDescriptor]:
    return [
        importlib.import_module(f"{package.__name__}.{module.name}").DESCRIPTOR
        for package in PACKAGES
        for module in pkgutil.iter_modules(package.__path__)
        if module.name.endswith("_pb2")
    ]


def _messages(file: descriptor.FileDescriptor) -> list[descriptor.Descriptor]:
    return [
        message
        for message in file.message_types_by_name.values()
        if not message.GetOptions().map_entry
    ]


FIELDS = {
    field.full_name: field
    for file in _files()
    for message in _messages(file)
    for field in message.fields
}
METHODS = {
    method.full_name: method
    for file in _files()
    for service in file.services_by_name.values()
    for method in service.methods
}
MESSAGES = {message.full_name: message for file in _files() for message in _messages(file)}


def test_the_deadlines_that_differ_are_of_calls_that_there_are():
    named = {name.strip("/").replace("/", ".") for name in options.DEADLINES_S}
    assert {name for name in named if name.startswith("atoll.")} <= set(METHODS)


def test_every_call_has_a_deadline_but_those_that_live_as_long_as_their_connection():
    for name, method in METHODS.items():
        service, _, rpc = name.rpartition(".")
        bound = options.deadline_s(f"/{service}/{rpc}", streams_response=method.server_streaming)
        # A session, a stream of appends or a watch goes on for as long as both sides are there.
        endless = method.server_streaming and (method.client_streaming or rpc.startswith("Watch"))
        assert (bound is None) == endless, f"{name}: {bound}"


def test_bytes_hold_user_data_or_a_named_encoding_only():
    kind = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
    assert {name for name, field in FIELDS.items() if field.type == kind} == BYTES_ALLOWED


def test_no_string_holds_an_encoded_structure():
    suspicious = [
        name
        for name, field in FIELDS.items()
        if field.type == descriptor_pb2.FieldDescriptorProto.TYPE_STRING
        and any(word in field.name for word in ("json", "serialized", "pickle", "yaml", "blob"))
    ]
    assert not suspicious


def test_every_call_that_changes_something_says_what_repeating_it_does():
    changing = {name for name, method in METHODS.items() if not method.name.startswith(READING)}
    assert changing == set(REPEATABLE)
    with_request_id = {
        name for name in changing if "request_id" in METHODS[name].input_type.fields_by_name
    }
    assert with_request_id == {name for name, how in REPEATABLE.items() if how == "request id"}


def test_every_list_of_the_public_api_pages():
    lists = [
        method
        for name, method in METHODS.items()
        if name.startswith("atoll.api.") and method.name.startswith("List")
    ]
    assert lists
    for method in lists:
        given = set(method.input_type.fields_by_name)
        assert {"page_size", "page_token"} <= given, method.full_name
        assert "next_page_token" in method.output_type.fields_by_name, method.full_name


def test_every_watch_can_be_resumed():
    watches = [method for method in METHODS.values() if method.name.startswith("Watch")]
    assert watches
    for method in watches:
        assert method.server_streaming, method.full_name
        assert "resume_token" in method.input_type.fields_by_name, method.full_name
        assert "resume_token" in method.output_type.fields_by_name, method.full_name


def test_a_time_is_a_timestamp():
    times = [field for name, field in FIELDS.items() if name.endswith(("_time", "timestamp"))]
    assert times
    for field in times:
        assert field.message_type is not None, field.full_name
        assert field.message_type.full_name == "google.protobuf.Timestamp", field.full_name


# Numbers that fields of the same release take, which come with other changes.
_KEPT = {"atoll.mesh.v1.Registration": {11, 12, 13}}


def test_the_fields_of_a_message_are_numbered_without_a_silent_gap():
    for name, message in MESSAGES.items():
        # The bodies of events leave room by tens, so that what belongs together stays together.
        if name == "atoll.events.v1.Event":
            continue
        numbers = {field.number for field in message.fields}
        encoded = descriptor_pb2.DescriptorProto()
        message.CopyToProto(encoded)
        given_up = {n for span in encoded.reserved_range for n in range(span.start, span.end)}
        gaps = (
            set(range(1, max(numbers, default=0) + 1)) - numbers - given_up - _KEPT.get(name, set())
        )
        assert not gaps, f"{name}: the numbers {sorted(gaps)} are neither used nor reserved"


# What a rule may read a location from, besides names and ids.
_SUBJECTS = {
    "atoll.definitions.v1.AssetKey",
    "atoll.definitions.v1.AssetCheckKey",
    "atoll.definitions.v1.ConditionEntity",
}


def _field(message: descriptor.Descriptor, path: str) -> descriptor.FieldDescriptor:
    *parents, last = path.split(".")
    for name in parents:
        message = message.fields_by_name[name].message_type
    return message.fields_by_name[last]


def test_every_call_says_who_may_make_it():
    text = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
    for name, method in METHODS.items():
        rule = method.GetOptions().Extensions[access_pb2.access]
        assert rule.role, f"{name} has no rule"
        for path in (*rule.location_fields, *rule.run_fields, *rule.backfill_fields):
            assert _field(method.input_type, path).type == text, f"{name}: {path}"
        for path in rule.asset_fields:
            subject = _field(method.input_type, path).message_type
            assert subject.full_name in _SUBJECTS, f"{name}: {path}"
        for path in rule.answer_fields:
            assert _field(method.output_type, path).type == text, f"{name}: {path}"


def test_a_rule_of_the_public_api_says_for_which_locations_the_role_counts():
    for name, method in METHODS.items():
        rule = method.GetOptions().Extensions[access_pb2.access]
        if not name.startswith("atoll.api."):
            continue
        assert rule.changes == (name in REPEATABLE), name
        named = (
            *rule.location_fields,
            *rule.asset_fields,
            *rule.run_fields,
            *rule.backfill_fields,
            *rule.answer_fields,
        )
        for_anyone = rule.role == access_pb2.ROLE_ANYONE
        assert named or rule.reach or for_anyone, name
