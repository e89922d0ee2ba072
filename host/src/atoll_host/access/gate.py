"""What stands round every call, however it arrives: who calls, may they, what may they see.

The interceptor of gRPC (`servicers.guarding`) and the HTTP side call it alike:

    given = credentials.Credentials(authorizations=("Bearer ...",))
    answer = await gate.answer(method, request, given, lambda: servicer.GetRun(request, context))
    async for part in gate.stream(method, request, given, lambda: servicer.WatchEvents(...)): ...

`method` is the descriptor of the rpc, such as
`runs_pb2.DESCRIPTOR.services_by_name["RunsService"].methods_by_name["GetRun"]`. Exceptions are
those of `errors` (`Unauthenticated`, `NotAllowed`, `NotFound`, ...) and of the call itself; the
table of `servicers.serving` says what they become. While the call is answered, `callers.current()`
is who makes it. The messages of a stream are each checked and narrowed for whoever the caller is by
then: a stream ends when its credential does.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from google.protobuf import descriptor, message

from atoll_host import errors
from atoll_host.access import callers, engine
from atoll_host.access import credentials as creds

Answer = TypeVar("Answer", bound=message.Message)
Request = TypeVar("Request", bound=message.Message)

_END_TIMEOUT_S = 5.0


class Recorder(Protocol):
    """What writes calls down (`audit.recording`)."""

    async def begun(
        self,
        caller: callers.Caller,
        rpc: str,
        locations: Sequence[str],
        request: message.Message,
    ) -> int:
        """Write down that a call is made, before it is; return the id of the entry."""
        ...

    async def ended(
        self, entry_id: int, error: BaseException | None, locations: Sequence[str]
    ) -> None:
        """Write down how a call ended."""
        ...

    async def refused(
        self,
        caller: callers.Caller,
        rpc: str,
        locations: Sequence[str],
        request: message.Message,
        error: Exception,
    ) -> None:
        """Write down that a call was refused."""
        ...


class Gate:
    """Lets calls through."""

    def __init__(self, checks: engine.Engine, recorder: Recorder) -> None:
        self._engine = checks
        self._recorder = recorder

    async def known(self, method: descriptor.MethodDescriptor, given: creds.Credentials) -> None:
        """Refuse a call by its credentials alone, before its request is read.

        Raises:
            errors.Unauthenticated: Nobody knows who calls.
        """
        await self._caller(method, given)

    async def answer(
        self,
        method: descriptor.MethodDescriptor,
        request: message.Message,
        given: creds.Credentials,
        call: Callable[[], Awaitable[Answer]],
    ) -> Answer:
        """Make a call that has one answer.

        Args:
            method: What is called.
            request: The request.
            given: What says who calls.
            call: Makes the call.

        Raises:
            errors.Unauthenticated: Nobody knows who calls.
            errors.NotAllowed: They may not.
            errors.NotFound: It is about something that they may not know of.
        """
        caller = await self._admitted(method, request, given)
        if self._engine.rule(method).changes:
            answer = await self._recorded(method, request, caller, call)
        else:
            with callers.calling(caller):
                answer = await call()
        self._engine.narrow(method, answer, caller)
        return answer

    async def stream(
        self,
        method: descriptor.MethodDescriptor,
        request: message.Message,
        given: creds.Credentials,
        call: Callable[[], AsyncIterator[Answer]],
    ) -> AsyncGenerator[Answer]:
        """Make a call with one request that is answered by a stream. Close the stream in the end.

        Raises as `answer` does, at the first message or at any later one.
        """
        caller = await self._admitted(method, request, given)
        async with contextlib.aclosing(self._parts(method, given, caller, call)) as parts:
            async for part in parts:
                yield part

    async def both(
        self,
        method: descriptor.MethodDescriptor,
        requests: AsyncIterator[Request],
        given: creds.Credentials,
        call: Callable[[AsyncIterator[Request]], AsyncIterator[Answer]],
    ) -> AsyncGenerator[Answer]:
        """Make a call with a stream of requests that is answered by a stream.

        Each request is checked when it is read; a refusal is raised to whoever reads.
        """
        # At once, not with the first request, which may be long in coming.
        caller = await self._admitted(method, None, given)
        checked = self._checked(method, requests, given)
        parts = self._parts(method, given, caller, lambda: call(checked))
        async with contextlib.aclosing(parts):
            async for part in parts:
                yield part

    async def collected(
        self,
        method: descriptor.MethodDescriptor,
        requests: AsyncIterator[Request],
        given: creds.Credentials,
        call: Callable[[AsyncIterator[Request]], Awaitable[Answer]],
    ) -> Answer:
        """Make a call with a stream of requests that has one answer, and changes nothing.

        Each request is checked when it is read; a refusal is raised to whoever reads.
        """
        caller = await self._admitted(method, None, given)
        with callers.calling(caller):
            answer = await call(self._checked(method, requests, given))
        self._engine.narrow(method, answer, caller)
        return answer

    async def _checked(
        self,
        method: descriptor.MethodDescriptor,
        requests: AsyncIterator[Request],
        given: creds.Credentials,
    ) -> AsyncIterator[Request]:
        # A task of the servicer may still read it when the call ends, so nobody closes it.
        async for request in requests:
            await self._admitted(method, request, given)
            yield request

    async def _parts(
        self,
        method: descriptor.MethodDescriptor,
        given: creds.Credentials,
        caller: callers.Caller,
        call: Callable[[], AsyncIterator[Answer]],
    ) -> AsyncGenerator[Answer]:
        with callers.calling(caller):
            parts = call()
        try:
            while True:
                # Around each step: whoever drives this may do so from one task after the other.
                with callers.calling(caller):
                    try:
                        part = await anext(parts)
                    except StopAsyncIteration:
                        return
                caller = await self._caller(method, given)
                self._engine.narrow(method, part, caller)
                yield part
        finally:
            if isinstance(parts, AsyncGenerator):
                with callers.calling(caller):
                    await parts.aclose()

    async def _caller(
        self, method: descriptor.MethodDescriptor, given: creds.Credentials
    ) -> callers.Caller:
        if self._engine.rule(method).for_anyone:
            return callers.NOBODY
        return await self._engine.authenticate(given)

    async def _admitted(
        self,
        method: descriptor.MethodDescriptor,
        request: message.Message | None,
        given: creds.Credentials,
    ) -> callers.Caller:
        """Return who calls, once they may."""
        caller = callers.NOBODY
        try:
            caller = await self._caller(method, given)
            if request is not None:
                await self._engine.authorize(method, request, caller)
        except (errors.Unauthenticated, errors.NotAllowed, errors.NotFound) as error:
            rule = self._engine.rule(method)
            if rule.changes and request is not None:
                named = self._engine.locations_named(rule, request)
                await self._recorder.refused(caller, rule.method, named, request, error)
            raise
        return caller

    async def _recorded(
        self,
        method: descriptor.MethodDescriptor,
        request: message.Message,
        caller: callers.Caller,
        call: Callable[[], Awaitable[Answer]],
    ) -> Answer:
        rule = self._engine.rule(method)
        named = await self._engine.locations_of(rule, request)
        entry_id = await self._recorder.begun(caller, rule.method, named, request)
        with callers.calling(caller) as asked:
            try:
                answer = await call()
            except BaseException as error:
                await self._ended(entry_id, error, asked)
                raise
        await self._ended(entry_id, None, asked)
        return answer

    async def _ended(self, entry_id: int, error: BaseException | None, asked: set[str]) -> None:
        # A caller who goes away must not leave the end unknown.
        ending = self._recorder.ended(entry_id, error, sorted(asked))
        with contextlib.suppress(TimeoutError):
            await asyncio.shield(asyncio.wait_for(ending, _END_TIMEOUT_S))
