"""Small frozen records that cost next to nothing to define.

Called by `events`, which has so many kinds of data that dataclasses for them alone would be a fifth
of what `import atoll` may cost. Everything else uses dataclasses.
"""

import inspect
import sys
from typing import Any, ClassVar

if sys.version_info >= (3, 11):
    from typing import dataclass_transform
else:

    def dataclass_transform(**_options: Any) -> Any:
        """Stand in for what only type checkers need."""
        return lambda decorated: decorated


@dataclass_transform(frozen_default=True)
class Record:
    """The base of frozen records: annotated names are fields, their values are defaults."""

    record_fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        cls.record_fields = tuple(inspect.get_annotations(cls))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        fields = self.record_fields
        if len(args) > len(fields):
            raise TypeError(f"{type(self).__name__} takes {len(fields)} values, got {len(args)}.")
        given = dict(zip(fields, args, strict=False))
        for name, value in kwargs.items():
            if name not in fields or name in given:
                raise TypeError(
                    f"{type(self).__name__} has no field {name!r} left; it has {fields}."
                )
            given[name] = value
        if len(given) < len(fields):
            missing = [
                name for name in fields if name not in given and not hasattr(type(self), name)
            ]
            if missing:
                raise TypeError(f"{type(self).__name__} needs {', '.join(missing)}.")
        self.__dict__.update(given)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen; {name!r} cannot be set.")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen; {name!r} cannot be deleted.")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record) or type(self) is not type(other):
            return False
        return self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self).__name__, repr(self)))

    def __repr__(self) -> str:
        told = ", ".join(
            f"{name}={value!r}"
            for name, value in zip(self.record_fields, self._values(), strict=True)
        )
        return f"{type(self).__name__}({told})"

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.record_fields)
