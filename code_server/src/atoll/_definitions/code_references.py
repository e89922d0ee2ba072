"""Where code stands, as data: files of this machine and pages that show them.

Called by `metadata` and by users. Holds data only; `code_links` finds the places.
"""

from atoll import _records as records


class LocalFileCodeReference(records.Record):
    """A place in a file of the machine that loads the definitions.

    Attributes:
        file_path: The file.
        line_number: The line, from 1; None means the whole file.
        label: What to call the place.
    """

    file_path: str
    line_number: int | None
    label: str | None

    def __init__(
        self, *, file_path: str, line_number: int | None = None, label: str | None = None
    ) -> None:
        assign = object.__setattr__
        assign(self, "file_path", file_path)
        assign(self, "line_number", line_number)
        assign(self, "label", label)

    @property
    def source(self) -> str:
        """The file, with the line where there is one."""
        return (
            self.file_path if self.line_number is None else f"{self.file_path}:{self.line_number}"
        )


class UrlCodeReference(records.Record):
    """A page that shows code.

    Attributes:
        url: The address of the page.
        label: What to call the place.
    """

    url: str
    label: str | None

    def __init__(self, *, url: str, label: str | None = None) -> None:
        object.__setattr__(self, "url", url)
        object.__setattr__(self, "label", label)

    @property
    def source(self) -> str:
        """The address of the page."""
        return self.url


CodeReference = LocalFileCodeReference | UrlCodeReference
