"""A location whose totals follow the orders of another one by themselves."""

import atoll as dg


class AfterTheFirst(dg.AutomationCondition):
    """True once it was asked before: its own code decides, in its own process."""

    def evaluate(self, context: dg.AutomationContext) -> dg.AutomationResult:
        asked = int(context.cursor or 0)
        true = context.candidate_subset if asked else context.get_empty_subset()
        return dg.AutomationResult(context, true, cursor=str(asked + 1))


@dg.asset(automation_condition=dg.AutomationCondition.eager())
def totals(orders: list) -> int:
    """The sum of the orders."""
    return sum(orders)


@dg.asset(automation_condition=AfterTheFirst().since_last_handled())
def asked() -> None:
    """Made when its own condition says so."""


defs = dg.Definitions(
    assets=[dg.AssetSpec("orders"), totals, asked],
    sensors=[
        dg.AutomationConditionSensorDefinition("follow", target=["totals"]),
        dg.AutomationConditionSensorDefinition(
            "own",
            target=["asked"],
            use_user_code_server=True,
            minimum_interval_seconds=1,
            default_status=dg.DefaultSensorStatus.RUNNING,
        ),
    ],
)
