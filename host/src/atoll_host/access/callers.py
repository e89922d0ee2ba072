"""Who makes a call, and for which locations they hold which role.

Set for each call by what authenticates it; read by the rules of the rpcs and by servicers that only
find out on their way which location a request is about. Pure but for the context variable that
carries the caller of a call through the tasks which answer it.
"""

import contextlib
import contextvars
import dataclasses
import enum
from collections.abc import Generator, Iterable

from atoll_host import errors


class Role(enum.IntEnum):
    """What a caller is allowed to; each includes those before it."""

    VIEWER = 1
    LAUNCHER = 2
    OPERATOR = 3
    ADMIN = 4


class Kind(enum.Enum):
    """How a caller made known who they are."""

    LOCAL = "local"
    TOKEN = "token"  # noqa: S105 - a word
    PERSON = "person"
    CERTIFICATE = "certificate"
    LOCATION = "location"
    HOST = "host"
    NOBODY = "nobody"


@dataclasses.dataclass(frozen=True, slots=True)
class Grant:
    """A role, for some locations or for all.

    Attributes:
        role: The role.
        locations: For which locations; None means all, those that come later too.
    """

    role: Role
    locations: frozenset[str] | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call.

    Attributes:
        name: What people call them, such as the name of a token or an e-mail address.
        kind: How they made known who they are.
        grants: What they are allowed to.
        credential_id: Which credential it was; empty where there was none.
        location_name: The location whose code server calls; empty for everybody else.
        run_id: The run on whose behalf it calls; empty where it is not on behalf of one.
    """

    name: str
    kind: Kind
    grants: tuple[Grant, ...] = ()
    credential_id: str = ""
    location_name: str = ""
    run_id: str = ""

    def holds(self, role: Role, location_name: str) -> bool:
        """Return whether the role is held for a location."""
        return any(
            grant.role >= role and (grant.locations is None or location_name in grant.locations)
            for grant in self.grants
        )

    def locations(self, role: Role) -> frozenset[str] | None:
        """Return the locations for which the role is held; None means all."""
        held: set[str] = set()
        for grant in self.grants:
            if grant.role >= role:
                if grant.locations is None:
                    return None
                held |= grant.locations
        return frozenset(held)

    def require(self, role: Role, location_names: Iterable[str]) -> None:
        """Refuse the call unless the role is held for each of some locations.

        Raises:
            errors.NotAllowed: It is not held for one of them.
        """
        for location_name in location_names:
            asked = _asked.get(None)
            if asked is not None:
                asked.add(location_name)
            if not self.holds(role, location_name):
                raise errors.NotAllowed(self.name, role.name.lower(), location_name)


LOCAL = Caller("local", Kind.LOCAL, (Grant(Role.ADMIN),))
"""Who calls where no credentials are asked for: on loopback, in development."""

NOBODY = Caller("", Kind.NOBODY)
"""Who calls where credentials are missing or not valid, or where none are needed."""

_current: contextvars.ContextVar[Caller] = contextvars.ContextVar("caller", default=LOCAL)
_asked: contextvars.ContextVar[set[str]] = contextvars.ContextVar("asked")


def current() -> Caller:
    """Return who makes the call that is being answered."""
    return _current.get()


@contextlib.contextmanager
def calling(caller: Caller) -> Generator[set[str], None, None]:
    """Answer a call of somebody inside the block.

    Yields:
        The locations that were asked about with `require` inside it.
    """
    asked: set[str] = set()
    token, asked_token = _current.set(caller), _asked.set(asked)
    try:
        yield asked
    finally:
        _current.reset(token)
        _asked.reset(asked_token)
