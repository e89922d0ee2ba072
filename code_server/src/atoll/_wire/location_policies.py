"""What a location says of others, to messages. Used by `snapshot`."""

from __future__ import annotations

from atoll._definitions import location_policies
from atoll._wire import texts
from atoll.definitions.v1 import policies_pb2

_ACTIONS = {
    "watch": policies_pb2.POLICY_ACTION_WATCH,
    "depend": policies_pb2.POLICY_ACTION_DEPEND,
    "launch": policies_pb2.POLICY_ACTION_LAUNCH,
    "read": policies_pb2.POLICY_ACTION_READ,
}


def to_message(policy: location_policies.LocationPolicy) -> policies_pb2.LocationPolicy:
    """Return a policy as a message: what it says, as rules in order.

    Args:
        policy: The policy.
    """
    return policies_pb2.LocationPolicy(
        rules=[
            policies_pb2.PolicyRule(
                from_locations=[texts.valid(one) for one in rule.locations],
                actions=[_ACTIONS[one] for one in rule.actions],
                assets=[texts.valid(one) for one in rule.assets],
                jobs=[texts.valid(one) for one in rule.jobs],
                allow=rule.allow,
                reason=texts.valid(rule.reason),
            )
            for rule in policy.in_order()
        ]
    )
