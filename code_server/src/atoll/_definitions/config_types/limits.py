"""Limits on numbers, on lengths and on the form of strings.

Called by the config types that have such limits: those of fields of config classes.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from atoll import _records as records

_KEYWORDS = {
    "string": (("min_length", "minLength"), ("max_length", "maxLength"), ("pattern", "pattern")),
    "array": (("min_length", "minItems"), ("max_length", "maxItems")),
    "object": (("min_length", "minProperties"), ("max_length", "maxProperties")),
}
_KEYWORDS_OF_NUMBERS = (
    ("ge", "minimum"),
    ("gt", "exclusiveMinimum"),
    ("le", "maximum"),
    ("lt", "exclusiveMaximum"),
    ("multiple_of", "multipleOf"),
)


class Limits(records.Record):
    """Limits that a value has to keep; None where there is none."""

    ge: Any = None
    gt: Any = None
    le: Any = None
    lt: Any = None
    multiple_of: Any = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None

    @classmethod
    def of(cls, marks: Iterable[Any]) -> "Limits | None":
        """Return the limits that marks in annotations stand for, None for none.

        Args:
            marks: What stands in `Annotated`; what says nothing about limits is passed over.
        """
        said: dict[str, Any] = {}
        for mark in marks:
            for name in cls.record_fields:
                limit = getattr(mark, name, None)
                if limit is not None and not callable(limit):
                    said[name] = getattr(limit, "pattern", limit) if name == "pattern" else limit
        return cls(**said) if said else None

    def keywords(self, kind: str) -> dict[str, Any]:
        """Return the limits as keywords of JSON Schema.

        Args:
            kind: The type in JSON Schema.
        """
        named = _KEYWORDS.get(kind, _KEYWORDS_OF_NUMBERS)
        limits = ((keyword, getattr(self, name)) for name, keyword in named)
        return {keyword: limit for keyword, limit in limits if limit is not None}

    def complaints(self, value: Any) -> Iterator[str]:
        """Tell which limits a value does not keep.

        Args:
            value: A number, a string, a list or a mapping.
        """
        if isinstance(value, (int, float)):
            yield from self._complaints_of_number(value)
            return
        length = len(value)
        if self.min_length is not None and length < self.min_length:
            yield f"expected a length of at least {self.min_length}"
        if self.max_length is not None and length > self.max_length:
            yield f"expected a length of at most {self.max_length}"
        if self.pattern is not None and isinstance(value, str) and not _fits(self.pattern, value):
            yield f"expected a string that fits the pattern {self.pattern!r}"

    def _complaints_of_number(self, value: float) -> Iterator[str]:
        # Written so that NaN, which is neither, keeps no limit.
        if self.ge is not None and not value >= self.ge:
            yield f"expected at least {self.ge}"
        if self.gt is not None and not value > self.gt:
            yield f"expected more than {self.gt}"
        if self.le is not None and not value <= self.le:
            yield f"expected at most {self.le}"
        if self.lt is not None and not value < self.lt:
            yield f"expected less than {self.lt}"
        if self.multiple_of is not None and value % self.multiple_of:
            yield f"expected a multiple of {self.multiple_of}"


def _fits(pattern: str, value: str) -> bool:
    try:
        return re.search(pattern, value) is not None
    except re.error:
        # Pydantic knows forms of patterns that Python does not; it looks once more itself.
        return True
