"""Text that arrives in pieces, cut into lines of bounded length.

Called by everything that reads from programs. Where the pieces come from stays outside.
"""

from collections.abc import Callable

LINE_BYTES_MAX = 16 * 1024 * 1024
"""How long one line may be; the rest of a longer one is dropped."""


class LineCutter:
    """Cuts pieces of text into lines and hands each on as soon as it is complete.

    Args:
        take: Takes a line, without its end.
        bytes_max: How long a line may be.
    """

    def __init__(self, take: Callable[[str], None], bytes_max: int = LINE_BYTES_MAX) -> None:
        self._take = take
        self._bytes_max = bytes_max
        self._begun: list[bytes] = []
        self._begun_bytes = 0

    def feed(self, piece: bytes) -> None:
        """Take a piece of text.

        Args:
            piece: The piece.
        """
        *complete, rest = piece.split(b"\n")
        for end in complete:
            self._keep(end)
            self.close()
        self._keep(rest)

    def close(self) -> None:
        """Hand on what is there of a line that was not ended."""
        line = b"".join(self._begun)
        self._begun, self._begun_bytes = [], 0
        if line.strip():
            self._take(line.decode("utf-8", "replace").rstrip("\r"))

    def _keep(self, piece: bytes) -> None:
        # Cut off, it is no message any more, and is told of as such.
        left = self._bytes_max - self._begun_bytes
        if piece and left > 0:
            self._begun.append(piece[:left])
            self._begun_bytes += len(piece[:left])
