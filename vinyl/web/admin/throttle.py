"""Limits for failed logins: for each account and each address, in Django's cache."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv6Address, ip_address
from typing import Any

from django.core.cache import caches
from django.core.exceptions import ValidationError
from django.utils.translation import gettext

__all__ = ["Throttle", "throttled"]


class Throttle:
    """
    Counts logins that failed, in periods of *seconds*.

    Args:
        account: How many may fail for one account in a period, wherever they come
            from; None for any number.
        address: How many may fail from one address; None for any number.
        seconds: The length of a period, in seconds.
        cache: The alias of the cache. Processes that share it count together.
        prefix: Part of the keys, for sites that count separately.
        clock: Returns the time, in seconds.
    """

    def __init__(
        self,
        account: int | None,
        address: int | None,
        seconds: float,
        *,
        cache: str = "default",
        prefix: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.account = account
        self.address = address
        self.seconds = seconds
        self.cache = caches[cache]
        self.prefix = prefix
        self.clock = clock

    def begin(self, name: str, address: str) -> float:
        """
        Count an attempt, before the password is looked at, so that many at once have
        the same limit as one after the other. Return 0, or the seconds to wait if a
        limit is reached.

        Args:
            name: The name that was entered, whether there is such a user or not.
            address: The IP address of the client; empty if it is not known, which
                is not counted.

        Switches to the event loop if the cache does I/O there.
        """
        # Both are counted: neither the answer nor its time tells which one is reached.
        counts = [
            self._add(key, 1) > limit for key, limit in self._limits(name, address)
        ]
        return self.seconds - self.clock() % self.seconds if any(counts) else 0.0

    def succeed(self, name: str, address: str) -> None:
        """
        Take back an attempt, which was right. Earlier failures stay.

        Args:
            name: As for `begin`.
            address: As for `begin`.

        Switches to the event loop if the cache does I/O there.
        """
        for key, _ in self._limits(name, address):
            self._add(key, -1)

    def _limits(self, name: str, address: str) -> Iterator[tuple[str, int]]:
        """The keys of what is counted, and their limits."""
        period = int(self.clock() // self.seconds)
        # Some databases compare names without case.
        names = (("account", name.strip().casefold()), ("address", _network(address)))
        for kind, counted in names:
            limit = getattr(self, kind)
            # Behind a Unix socket no client has an address: one limit for all of them
            # would let anybody lock out everybody.
            if limit is not None and counted:
                # A name has any length and characters; a key of a cache does not.
                digest = hashlib.sha256(counted.encode()).hexdigest()
                yield f"vinyl.login.{self.prefix}.{kind}.{period}.{digest}", limit

    def _add(self, key: str, number: int) -> int:
        self.cache.add(key, 0, self.seconds)
        try:
            count = int(self.cache.incr(key, number))
        except ValueError:
            # A cache that stores nothing, or has just thrown it out.
            return number
        # Not every cache keeps the time.
        self.cache.touch(key, self.seconds)
        return count


def _network(address: str) -> str:
    """*address*, or the network of an IPv6 address: a client has all of it."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    return str(parsed.ipv4_mapped or int(parsed) >> 64)


class _Throttled:
    """A form for logging in that refuses too many attempts."""

    site: Any
    request: Any
    cleaned_data: dict[str, Any]

    def clean(self) -> Any:
        throttle = self.site.get_login_throttle()
        name = self.cleaned_data.get("username")
        if throttle is None or self.request is None or not name:
            return super().clean()  # type: ignore[misc]  # of the form beside it
        address = self.request.META.get("REMOTE_ADDR") or ""
        if wait := throttle.begin(name, address):
            raise ValidationError(_refusal(wait), code="throttled")
        cleaned = super().clean()  # type: ignore[misc]
        throttle.succeed(name, address)
        return cleaned


def throttled(form: Any, site: Any) -> Any:
    """
    Return a class derived from *form*, for logging in, that asks the throttle of *site*
    first; *form* itself if it does so already. Never switches.

    Args:
        form: The class, as `AdminSite.login_form`.
        site: The AdminSite.
    """
    if issubclass(form, _Throttled):
        return form
    return type(form)(form.__name__, (_Throttled, form), {"site": site})


def _refusal(wait: float) -> str:
    minutes = -int(-wait // 60)
    if minutes == 1:
        return gettext("Too many failed attempts to log in. Try again in one minute.")
    words = gettext("Too many failed attempts to log in. Try again in %(n)d minutes.")
    return words % {"n": minutes}
