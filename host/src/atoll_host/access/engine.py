"""Who calls, whether they may, and what of the answer they may see: for every way to call the host.

Called by `gate`, which stands round the calls of gRPC and of HTTP alike. The rule of a method is in
its contract (`atoll.rpc.v1.access`). For people and services:

- Every location that the request names needs the role. So does the owner of every asset, check and
  job that it names, and the location of every run and backfill.
- To look at something (the call changes nothing) that several locations have a part in, the role
  for one of them is enough.
- What the caller may not look at is answered as what is not there (NOT_FOUND), so that nobody
  learns what there is. What they may look at and not do is answered with PERMISSION_DENIED, and so
  is a location, which is named by whoever asks.
- Where nothing is named: an answer with `answer_fields` is narrowed; `REACH_ANY` and
  `REACH_SERVICER` need the role for some location, anything else for all.

A code server (a caller with a `location_name`) makes the calls of ROLE_LOCATION, and only with its
own location in their fields and runs. Nobody else but `callers.LOCAL` does. Where it shows the
credential of a run, it names no other run.
"""

import functools
from collections.abc import Iterable

from google.protobuf import descriptor, message

from atoll.rpc.v1 import access_pb2
from atoll_host import errors
from atoll_host.access import (
    access_settings,
    callers,
    people,
    rules,
    runs_at_work,
    subjects,
    verifying,
)
from atoll_host.access import credentials as creds

_VIEWER = callers.Role.VIEWER
_LOCATION_ROLE = "code server"


class Engine:
    """Authenticates and authorizes."""

    def __init__(
        self,
        settings: access_settings.AccessSettings,
        verifier: verifying.Verifier,
        found: subjects.Subjects,
        at_work: runs_at_work.RunsAtWork,
        known: people.People | None = None,
    ) -> None:
        self._people = known
        self._settings = settings
        self._verifier = verifier
        self._subjects = found
        self._at_work = at_work
        self._rules: dict[str, rules.Rule] = {}
        self._certificates = {each.name: _of_certificate(each) for each in settings.certificates}

    def rule(self, method: descriptor.MethodDescriptor) -> rules.Rule:
        """Return the rule of a method.

        Raises:
            errors.PolicyForbids: It has none.
        """
        rule = self._rules.get(method.full_name)
        if rule is None:
            rule = self._rules[method.full_name] = rules.of_method(method)
        return rule

    async def authenticate(self, given: creds.Credentials) -> callers.Caller:
        """Return who calls. A token says more than the certificate of the connection.

        Raises:
            errors.CredentialsMissing: Nothing says who it is.
            errors.CredentialsInvalid: What says so is not valid.
            errors.RunCredentialInvalid: What says on behalf of which run is not valid.
        """
        caller = await self._who(given)
        for shown in given.runs[:1]:
            if len(given.runs) > 1:
                raise errors.RunCredentialInvalid
            caller = await self._at_work.on_behalf(caller, shown)
        return caller

    async def _who(self, given: creds.Credentials) -> callers.Caller:
        if not self._settings.required:
            return callers.LOCAL
        jwt = given.jwt()
        if jwt is not None and self._people is not None:
            return await self._people.caller(jwt)
        token = given.token()
        if token is not None:
            bearer = await self._verifier.caller(token)
            # The token of one location on the connection of another was taken from it.
            if given.location_name and bearer.location_name not in {"", given.location_name}:
                raise errors.CredentialsInvalid
            return bearer
        if given.location_name:
            name = given.location_name
            return callers.Caller(name, callers.Kind.LOCATION, location_name=name)
        known = self._certificates.get(given.user_name)
        if known is not None:
            return known
        raise errors.CredentialsMissing

    async def authorize(
        self,
        method: descriptor.MethodDescriptor,
        request: message.Message,
        caller: callers.Caller,
    ) -> None:
        """Refuse a call that its caller may not make.

        Args:
            method: What is called.
            request: The request; of a stream of requests, each.
            caller: Who calls.

        Raises:
            errors.NotAllowed: The caller does not hold the role.
            errors.NotFound: It is about something that the caller may not know of.
        """
        rule = self.rule(method)
        if rule.for_anyone:
            return
        if rule.for_locations:
            await self._authorize_location(rule, request, caller)
            return
        role = _role(rule)
        if caller.locations(role) is None:
            return
        named = rules.names(request, rule.locations)
        caller.require(role, sorted(named))
        about = await self._about(rule, request)
        for subject in about:
            _authorize_subject(subject, caller, role, changes=rule.changes)
        if not named and not about:
            _authorize_reach(rule, caller, role)

    def narrow(
        self,
        method: descriptor.MethodDescriptor,
        answer: message.Message,
        caller: callers.Caller,
    ) -> None:
        """Leave out of an answer what its caller may not see. Tokens of pages and streams stay.

        Args:
            method: What was called.
            answer: The answer, or one message of a stream; it is changed.
            caller: Who called.

        Raises:
            errors.NotAllowed: The answer is a single thing that the caller may not see.
        """
        rule = self.rule(method)
        if not rule.narrows or rule.role is None:
            return
        role = rule.role
        if caller.locations(role) is None:
            return
        caller.require(role, sorted(rules.names(answer, rule.single)))
        rules.narrow(answer, rule.narrowings, functools.partial(caller.holds, role))

    def locations_named(self, rule: rules.Rule, request: message.Message) -> list[str]:
        """Return the locations that a request names itself."""
        return sorted(rules.names(request, rule.locations))

    async def locations_of(self, rule: rules.Rule, request: message.Message) -> list[str]:
        """Return the locations that a request is about, as far as it tells."""
        found = rules.names(request, rule.locations)
        for subject in await self._about(rule, request):
            found |= subject.owners
        return sorted(found)

    async def _authorize_location(
        self, rule: rules.Rule, request: message.Message, caller: callers.Caller
    ) -> None:
        named = rules.names(request, rule.runs)
        if caller.run_id and named - {caller.run_id}:
            raise errors.RunCredentialInvalid
        if caller.kind is callers.Kind.LOCAL:
            return
        own = caller.location_name
        if not own:
            raise errors.NotAllowed(caller.name, _LOCATION_ROLE, "")
        for name in sorted(rules.names(request, rule.locations)):
            if name != own:
                raise errors.NotAllowed(caller.name, _LOCATION_ROLE, name)
        for run_id in sorted(named):
            subject = await self._subjects.of_run(run_id)
            if own not in subject.owners:
                raise subject.unknown

    async def _about(self, rule: rules.Rule, request: message.Message) -> list[subjects.Subject]:
        found = [
            self._subjects.of_definition(named)
            for path in rule.assets
            for named in rules.values(request, path)
        ]
        of_runs = [
            await self._subjects.of_run(run_id)
            for run_id in sorted(rules.names(request, rule.runs))
        ]
        of_backfills = [
            await self._subjects.of_backfill(backfill_id)
            for backfill_id in sorted(rules.names(request, rule.backfills))
        ]
        return [*found, *of_runs, *of_backfills]


def _role(rule: rules.Rule) -> callers.Role:
    assert rule.role is not None  # noqa: S101 - `rules.of_method` refuses what has none
    return rule.role


def _authorize_subject(
    subject: subjects.Subject, caller: callers.Caller, role: callers.Role, *, changes: bool
) -> None:
    if not _holds_any(caller, _VIEWER, subject.seers):
        raise subject.unknown
    if changes or not _holds_any(caller, role, subject.seers):
        caller.require(role, sorted(subject.owners))


def _holds_any(caller: callers.Caller, role: callers.Role, names: Iterable[str]) -> bool:
    return any(caller.holds(role, name) for name in names)


def _authorize_reach(rule: rules.Rule, caller: callers.Caller, role: callers.Role) -> None:
    for_some = rule.narrows or rule.reach in {access_pb2.REACH_ANY, access_pb2.REACH_SERVICER}
    for_some = for_some and rule.reach != access_pb2.REACH_ALL
    if not for_some or not caller.locations(role):
        raise errors.NotAllowed(caller.name, role.name.lower(), "", anywhere=for_some)


def _of_certificate(each: access_settings.CertificateSettings) -> callers.Caller:
    locations = frozenset(each.locations) if each.locations else None
    grant = callers.Grant(callers.Role[each.role.upper()], locations)
    return callers.Caller(each.name, callers.Kind.CERTIFICATE, (grant,))
