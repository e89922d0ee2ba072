"""PolicyService: who may do what with what other locations make, for everyone."""

from atoll.api.v1 import policy_pb2, policy_pb2_grpc
from atoll.definitions.v1 import policies_pb2
from atoll_host import errors
from atoll_host.api import pages
from atoll_host.locations import registry as registries
from atoll_host.policy import deciding, reading
from atoll_host.servicers import contexts


class PolicyServicer(policy_pb2_grpc.PolicyServiceServicer):
    """Shows the rules, and what they come to."""

    def __init__(self, registry: registries.Registry, may_read: reading.Reading) -> None:
        self._registry = registry
        self._reading = may_read

    async def ListPolicyRules(
        self, request: policy_pb2.ListPolicyRulesRequest, context: contexts.Context
    ) -> policy_pb2.ListPolicyRulesResponse:
        """Return the rules in the order in which they are looked at."""
        page = pages.Page(request)
        if request.location_name:
            self._registry.location(request.location_name)
        wanted = {deciding.HOST, request.location_name}
        policies = self._registry.policies()
        rules = [
            rule for rule in policies if not request.location_name or rule.declared_by in wanted
        ]
        start = page.after_id
        end = start + page.size
        return policy_pb2.ListPolicyRulesResponse(
            rules=[_rule(rule, policies) for rule in rules[start:end]],
            next_page_token=page.token(end) if end < len(rules) else "",
        )

    async def CheckPolicy(
        self, request: policy_pb2.CheckPolicyRequest, context: contexts.Context
    ) -> policy_pb2.CheckPolicyResponse:
        """Tell whether a location may do something with a thing of another, and why."""
        action = deciding.ACTIONS.get(request.action)
        if action is None:
            raise errors.InvalidRequest(
                f"The action is {request.action}. Name watch, depend, launch or read.",
                field="action",
            )
        self._registry.location(request.from_location)
        target = request.to_location
        path = tuple(request.asset_key.path)
        if path:
            target = self._registry.claimant(path) or target
            subject = deciding.Subject(asset=path)
        elif target:
            self._registry.location(target)
            subject = deciding.Subject(job=request.job_name)
        else:
            raise errors.InvalidRequest(
                "Nothing says whose thing it is. Name a location in to_location, or an asset.",
                field="to_location",
            )
        decision = self._reading.decide(request.from_location, target, action, subject)
        return policy_pb2.CheckPolicyResponse(
            allowed=decision.allowed,
            explanation=decision.explanation,
            declared_by=decision.declared_by,
            to_location=target,
        )

    async def ListPolicyDenials(
        self, request: policy_pb2.ListPolicyDenialsRequest, context: contexts.Context
    ) -> policy_pb2.ListPolicyDenialsResponse:
        """Return what definitions of locations may not do with things of others."""
        page = pages.Page(request)
        views = self._registry.locations()
        names = [request.location_name] if request.location_name else sorted(views)
        found = [
            policy_pb2.LocationPolicyDenial(location_name=name, denial=denial)
            for name in names
            for denial in self._registry.location(name).denials
        ]
        start = page.after_id
        end = start + page.size
        return policy_pb2.ListPolicyDenialsResponse(
            denials=found[start:end],
            next_page_token=page.token(end) if end < len(found) else "",
        )


def _rule(rule: deciding.Rule, policies: deciding.Policies) -> policy_pb2.DeclaredPolicyRule:
    reason = rule.reason
    reads = rule.is_default and deciding.Action.READ in rule.actions
    if reads and policies.reads_declared:
        reason = "but for what the location watches or depends on"
    return policy_pb2.DeclaredPolicyRule(
        declared_by=rule.declared_by,
        rule=policies_pb2.PolicyRule(
            from_locations=rule.sources,
            to_locations=rule.targets,
            actions=[deciding.NUMBERS[each] for each in deciding.Action if each in rule.actions],
            assets=rule.assets,
            jobs=rule.jobs,
            allow=rule.allow,
            reason=reason,
        ),
        is_default=rule.is_default,
    )
