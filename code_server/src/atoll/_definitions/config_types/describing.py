"""One description of config types by JSON Schema, with the definitions that it refers to.

Called by all config types. Definitions are named after classes; two classes of one name get longer
names, the same in every process, since the snapshot of a location must not depend on chance.
"""

import itertools
import re
from collections.abc import Callable, Hashable, Iterator
from typing import Any

JsonSchema = dict[str, Any]

ENV_VAR = "atoll.EnvVar"
_NO_NAME = re.compile(r"[^\w.-]+")


class Describing:
    """The definitions of one description.

    Attributes:
        definitions: The definitions by name.
    """

    def __init__(self, skipped: int = 0) -> None:
        """Start a description.

        Args:
            skipped: How many of the shortest names not to use, since others have them.
        """
        self._skipped = skipped
        self._names: dict[Hashable, str] = {}
        self.definitions: dict[str, JsonSchema] = {}

    def refer(
        self, owner: Hashable, names: tuple[str, str], describe: Callable[[], JsonSchema]
    ) -> JsonSchema:
        """Return a reference to a definition, which is made where it is not there yet.

        Args:
            owner: What the definition describes.
            names: The short name and the full one.
            describe: Makes the definition; may refer to it again.
        """
        name = self._names.get(owner)
        if name is None:
            name = next(one for one in self._candidates(names) if one not in self.definitions)
            self._names[owner] = name
            # What the class contains may lead back to the class.
            self.definitions[name] = {}
            self.definitions[name] = describe()
        return {"$ref": f"#/$defs/{name}"}

    def refer_to_env_var(self) -> JsonSchema:
        """Return a reference to what a reference to an environment variable looks like."""
        self.definitions[ENV_VAR] = {
            "type": "object",
            "description": "The name of an environment variable of the code location.",
            "properties": {"env": {"type": "string"}},
            "required": ["env"],
            "additionalProperties": False,
        }
        return {"$ref": f"#/$defs/{ENV_VAR}"}

    def _candidates(self, names: tuple[str, str]) -> Iterator[str]:
        short, full = (_NO_NAME.sub("_", name) for name in names)
        numbered = (f"{full}-{number}" for number in itertools.count(2))
        return itertools.islice(itertools.chain((short, full), numbered), self._skipped, None)


def merge(
    describe: Callable[[int], tuple[JsonSchema, dict[str, JsonSchema]]],
    shared: dict[str, JsonSchema],
) -> JsonSchema:
    """Return a description whose definitions fit in with those of others.

    Args:
        describe: Describes, without the given number of shortest names.
        shared: The definitions of others; the description's are added.
    """
    for skipped in itertools.count():
        described, definitions = describe(skipped)
        if all(_is_free(shared, name, one) for name, one in definitions.items()):
            shared.update(definitions)
            return described
    raise AssertionError("names never run out")  # pragma: no cover


def _is_free(shared: dict[str, JsonSchema], name: str, definition: JsonSchema) -> bool:
    found = shared.get(name)
    return found is None or found is definition or found == definition
