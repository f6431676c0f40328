"""
Receiving PostgreSQL's notifications: `connection.listen()`.

`listen()` becomes a method of Django's BaseDatabaseWrapper; see
vinyl.orm.dualmode.table.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Self

from django.db import (
    InterfaceError,
    NotSupportedError,
    OperationalError,
    connections,
)

from vinyl.bridge.greenlets import in_bridge, run, suspend
from vinyl.bridge.mode import runs_sync
from vinyl.exceptions import NotAwaitedError
from vinyl.orm.backends.base import BridgeMixin
from vinyl.orm.scopes.fork import disown_in_child
from vinyl.orm.scopes.scope import ConnectionScope, current_scope

__all__ = [
    "Notifications",
    "check_channels",
    "check_has_notifications",
    "listen",
]

# PostgreSQL shortens longer names silently, in LISTEN.
MAX_CHANNEL_BYTES = 63


class Notifications:
    """
    The notifications that are sent to the given channels during the block:

        async with connection.listen("orders") as notifications:
            async for notification in notifications:
                await Order.objects.get(pk=notification.payload)

    Each is a `psycopg.Notify`, with `channel`, `payload` and `pid`. The block uses a
    separate session outside the pool; queries in the block do not use it. All
    notifications sent after the block is entered are received, including those that
    arrive while its code does something else. In sync code, in the bridge or without an
    event loop, write `with` and `for`.

    Args:
        alias: The alias of the database.
        channels: Names of channels, exactly as in `pg_notify()`.
        timeout: End the iteration after this long without a notification, in seconds.
            It can be started again. None waits without a limit.
        handle: Called with each notification that `wrapper.receive()` receives; None to
            iterate instead.

    Raises:
        InterfaceError: It was read outside its block or by two tasks at once, or on
            entering, if its block has not ended.
        NotAwaitedError: It was used with `with` or `for` on the event loop.
        OperationalError: The server cannot be reached, or has ended the session.

    Entering the block and reading switch to the event loop; leaving never switches.
    """

    def __init__(
        self,
        alias: str,
        channels: tuple[str, ...],
        timeout: float | None = None,
        handle: Callable[[Any], None] | None = None,
    ) -> None:
        self.alias = alias
        self.channels = channels
        self.timeout = timeout
        self._handle = handle
        # The session; None outside the block.
        self.wrapper: Any = None
        # Notifications that have arrived and have not been returned yet.
        self._received: deque[Any] = deque()
        self._is_receiving = False

    async def __aenter__(self) -> Self:
        """
        Connect and listen.

        Raises:
            OperationalError: The server cannot be reached, or refuses the session.
            InterfaceError: This object has already been entered.

        Switches to the event loop.
        """
        self._prepare()
        # Receivers of connection_created find this session as `connection`.
        scope = ConnectionScope(current_scope.get(), block="listen()")
        scope.hold(self.alias, self.wrapper, None)
        scope.enter()
        try:
            await run(self._open)
        finally:
            scope.close()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """End the session. Never switches."""
        self._close()

    def __enter__(self) -> Self:
        self._refuse_on_loop("with")
        if in_bridge():
            return suspend(self.__aenter__())
        self._prepare()
        self._open()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._close()

    def _prepare(self) -> None:
        if self.wrapper is not None:
            raise InterfaceError(
                f"{self!r} has already been entered, and its block has not ended. Call "
                f"connection.listen() again for each block."
            )
        self.wrapper = connections.create_connection(self.alias)

    def _open(self) -> None:
        try:
            self.wrapper.listen_to(self.channels, self._handle)
        except BaseException:
            self._close()
            raise
        disown_in_child(self.wrapper)

    def _close(self) -> None:
        wrapper, self.wrapper = self.wrapper, None
        self._received.clear()
        if wrapper is None:
            return
        if self._is_receiving:
            # Another task waits on the socket, which must stay open until it stops.
            wrapper.hang_up()
        else:
            wrapper.discard()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        """
        Return the next notification. A cancelled wait loses none.

        Raises:
            OperationalError: The session has ended. Notifications sent before another
                block listens are lost.
            InterfaceError: Outside the block, or another task is already waiting.

        Switches to the event loop.
        """
        if not self._received:
            await run(self._receive)
        if not self._received:
            raise StopAsyncIteration
        return self._received.popleft()

    def __iter__(self) -> Self:
        self._refuse_on_loop("for")
        return self

    def __next__(self) -> Any:
        if not self._received:
            self._receive()
        if not self._received:
            raise StopIteration
        return self._received.popleft()

    def _receive(self) -> None:
        wrapper = self.wrapper
        if wrapper is None:
            raise self._not_listening()
        if self._is_receiving:
            raise InterfaceError(
                f"{self!r} was read by two tasks at once, but each notification can be "
                f"received only once. Call connection.listen() in each task, or let "
                f"one task receive the notifications and pass them on."
            )
        self._is_receiving = True
        try:
            received = wrapper.received(self.timeout)
        except OperationalError as error:
            if self.wrapper is None:
                raise self._not_listening() from error
            raise
        finally:
            self._is_receiving = False
            if self.wrapper is None:
                wrapper.discard()
        self._received.extend(received)

    def _not_listening(self) -> InterfaceError:
        return InterfaceError(
            f"{self!r} was read outside its block, where it is not listening. Write "
            f"`async with connection.listen(...) as notifications:` and read from it "
            f"inside the block."
        )

    def _refuse_on_loop(self, statement: str) -> None:
        if not runs_sync():
            raise NotAwaitedError(
                f"`{statement}` was used with connection.listen() on the event loop, "
                f"where it would block. Write `async {statement}`."
            )

    def __repr__(self) -> str:
        names = ", ".join(map(repr, self.channels))
        state = "closed" if self.wrapper is None else "listening"
        return f"<Notifications of {names} on {self.alias!r}, {state}>"


def listen(wrapper: Any, *channels: str, timeout: float | None = None) -> Notifications:
    """
    Return the notifications sent to *channels*, for `async with`; see `Notifications`.
    The method `listen()` of connections.

    Args:
        wrapper: The connection of the alias.
        timeout: End the iteration after this long without a notification, in seconds.
            None waits without a limit.

    Raises:
        NotSupportedError: The database does not support notifications.
        TypeError: No channel was given, or one is not a string.
        ValueError: PostgreSQL does not accept the name of a channel, or *timeout* is
            not a number of seconds.

    Never switches.
    """
    check_has_notifications("connection.listen()", wrapper)
    check_channels("connection.listen()", channels)
    _check_timeout(timeout)
    return Notifications(wrapper.alias, channels, timeout)


def check_has_notifications(call: str, wrapper: Any) -> None:
    """
    Check the database that *call*, such as "listen()", is to use.

    Args:
        wrapper: The connection of its alias.

    Raises:
        NotSupportedError: The database does not support notifications.

    Never switches.
    """
    if not (isinstance(wrapper, BridgeMixin) and wrapper.can_listen):
        raise NotSupportedError(
            f"{call} was called for database {wrapper.alias!r}, whose ENGINE "
            f"{wrapper.settings_dict['ENGINE']!r} does not support notifications. Use "
            f"vinyl.orm.backends.postgresql."
        )


def check_channels(call: str, channels: tuple[Any, ...]) -> None:
    """
    Check the names of channels that were given to *call*, such as "listen()".

    Raises:
        TypeError: There is no channel, or one is not a string.
        ValueError: PostgreSQL does not accept the name of a channel.

    Never switches.
    """
    if not channels:
        raise TypeError(
            f"{call} was called without a channel, so it would receive nothing. Pass "
            f"one or more names, such as 'orders', 'stock'."
        )
    for channel in channels:
        if not isinstance(channel, str):
            raise TypeError(
                f"{call} was given {channel!r}, but the name of a channel must be a "
                f"string. Pass each name as a separate argument."
            )
        # Half of a character, a lone surrogate, is no text for PostgreSQL either.
        size = len(channel.encode(errors="surrogatepass"))
        is_text = size == len(channel.encode(errors="ignore"))
        if not 0 < size <= MAX_CHANNEL_BYTES or "\0" in channel or not is_text:
            raise ValueError(
                f"{call} was given the channel {channel!r}, which PostgreSQL does not "
                f"accept. Use a name of 1 to {MAX_CHANNEL_BYTES} bytes without NUL "
                f"characters and lone surrogates."
            )


def _check_timeout(timeout: Any) -> None:
    is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if timeout is not None and not (is_number and timeout >= 0):
        raise ValueError(
            f"connection.listen() was given timeout={timeout!r}, which must be a "
            f"number of seconds, 0 or greater. Pass None to wait without a limit."
        )
