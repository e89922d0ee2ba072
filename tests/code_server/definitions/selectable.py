"""Definitions for tests of selections: as little as a selection looks at."""

from atoll._definitions import keys, specs
from atoll._definitions.selections import spec_graph


class Maker:
    """What makes assets and evaluates checks."""

    def __init__(self, *made, checks=(), can_subset=False, materializable=True, observable=False):
        self.specs = [one if isinstance(one, specs.AssetSpec) else spec(one) for one in made]
        self.check_keys = [keys.AssetCheckKey.from_user_string(one) for one in checks]
        self.can_subset = can_subset
        self.is_materializable = materializable
        self.is_observable = observable
        self.is_executable = materializable or observable


def spec(text, **attributes):
    """Make a spec of 'key < dependency dependency'."""
    key, _, deps = text.partition(" < ")
    return specs.AssetSpec(
        keys.AssetKey.from_user_string(key),
        deps=[keys.AssetKey.from_user_string(dep) for dep in deps.split()],
        **attributes,
    )


def graph(*assets, checks=()):
    """Make a graph of specs of which each is made by itself, of makers, and of checks."""
    made = [Maker(one) if isinstance(one, str) else one for one in assets]
    return spec_graph.of_definitions(made, [Maker(checks=[one]) for one in checks])
