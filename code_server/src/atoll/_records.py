"""Small frozen records that cost next to nothing to define.

Called by the modules of this layer that hold data: a dataclass is compiled when it is defined, and
those of this layer together were a third of what `import atoll` cost. What is made for each asset
stays a dataclass, which is quicker to make; so does everything in the layers above, which load only
where something runs.
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
    """The base of frozen records: annotated names are fields, their values are defaults.

    A record that has a constructor of its own sets its fields there by `object.__setattr__`.
    """

    record_fields: ClassVar[tuple[str, ...]] = ()
    _required_fields: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        own = [name for name in inspect.get_annotations(cls) if name not in cls.record_fields]
        cls.record_fields = (*cls.record_fields, *own)
        cls._required_fields = frozenset(
            name for name in cls.record_fields if not hasattr(cls, name)
        )

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
        if not self._required_fields <= given.keys():
            missing = [name for name in fields if name in self._required_fields - given.keys()]
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
        return hash((type(self), *map(_hash_of, self._values())))

    def __repr__(self) -> str:
        told = ", ".join(
            f"{name}={value!r}"
            for name, value in zip(self.record_fields, self._values(), strict=True)
        )
        return f"{type(self).__name__}({told})"

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.record_fields)


def _hash_of(value: Any) -> int:
    """Hash a value; mappings and lists, which cannot be hashed, are all alike."""
    try:
        return hash(value)
    except TypeError:
        return 0
