"""
`settings.VINYL` as a typed object: its keys, their defaults and valid values.

Whether a value refers to something that exists (a database, a package, a feature of
Django) is checked by the system checks of the layer that uses it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, Literal, TypeVar, overload

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed

__all__ = [
    "KEYS",
    "Key",
    "VinylSettings",
    "check_keys",
    "django_setting",
    "vinyl_settings",
]

T = TypeVar("T")
_RAISE: Any = object()

# Where Django's settings keep what has been read; cleared whenever they change.
_read_settings = vars(settings)


def django_setting(name: str) -> Any:
    """
    Return Django's setting *name*, for code that runs with each request: reading an
    attribute of `django.conf.settings` takes ten times as long. Not for `MEDIA_URL` and
    `STATIC_URL`, which depend on the request.

    Raises:
        AttributeError: There is no such setting.

    Never switches.
    """
    try:
        return _read_settings[name]
    except KeyError:
        return getattr(settings, name)


class Key(Generic[T]):
    """
    A key of `settings.VINYL`, which is an attribute of `vinyl_settings`.

    Args:
        default: The value if the settings do not have the key.
        is_valid: Returns whether a value is valid.
        kind: Describes valid values, with the unit: "a positive number of seconds".
        remedy: What to write instead, as a sentence.
        id: The id of the system check that reports an invalid value. Empty if the app
            config reads the key, because no checks run with an invalid value.
        fallback: The value to use instead of an invalid one. Without a fallback,
            reading an invalid value raises `ImproperlyConfigured`.
        consequence: The effect of the fallback, to follow "so".
    """

    name: str

    def __init__(
        self,
        default: T,
        is_valid: Callable[[object], bool],
        kind: str,
        remedy: str,
        *,
        id: str = "",
        fallback: T = _RAISE,
        consequence: str = "",
    ) -> None:
        self.default = default
        self.is_valid = is_valid
        self.kind = kind
        self.remedy = remedy
        self.id = id
        self.fallback = fallback
        self.consequence = consequence

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Key[T]: ...

    @overload
    def __get__(self, instance: object, owner: type) -> T: ...

    def __get__(self, instance: object, owner: type) -> Key[T] | T:
        if instance is None:
            return self
        # Found there before this descriptor from now on, until the settings change.
        value = vars(instance)[self.name] = self.read()
        return value

    def read(self) -> T:
        """
        Return the value in the settings.

        Raises:
            ImproperlyConfigured: The value is invalid, and there is no fallback.

        Never switches.
        """
        value: Any = _raw().get(self.name, self.default)
        if self.is_valid(value):
            return value
        if self.fallback is _RAISE:
            raise ImproperlyConfigured(f"{self.describe_mistake(value)} {self.remedy}")
        return self.fallback

    def describe_mistake(self, value: object) -> str:
        """Return a sentence about an invalid *value*. Never switches."""
        so = f", so {self.consequence}" if self.consequence else ""
        return (
            f"settings.VINYL[{self.name!r}] is {value!r}, which is not {self.kind}{so}."
        )

    def check(self) -> list[checks.CheckMessage]:
        """Return a list with an error if the value is invalid. Never switches."""
        value = _raw().get(self.name, self.default)
        if self.is_valid(value):
            return []
        return [checks.Error(self.describe_mistake(value), self.remedy, id=self.id)]


def _raw() -> Mapping[str, Any]:
    found = getattr(settings, "VINYL", {})
    if not isinstance(found, Mapping):
        raise ImproperlyConfigured(
            f"settings.VINYL is {found!r}, which is not a dictionary. "
            f"Use a dictionary such as {{'SLOW_QUERIES': 0.5}}, or remove the setting."
        )
    return found


def _one_of(*choices: object) -> Callable[[object], bool]:
    # By type as well: 1 is not True.
    known = {(type(choice), choice) for choice in choices}
    return lambda value: isinstance(value, str | bool) and (type(value), value) in known


def _or_none(is_valid: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or is_valid(value)


def _is_positive(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 < value < math.inf


def _is_positive_integer(value: object) -> bool:
    return type(value) is int and value > 0


def _is_integer_from_0(value: object) -> bool:
    return type(value) is int and value >= 0


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _is_list_of_dotted_paths(value: object) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(path, str)
        and all(map(str.isidentifier, path.split(".")))
        and "." in path
        for path in value
    )


def _is_path_or_paths(value: object) -> bool:
    paths = value if isinstance(value, list | tuple) else [value]
    return all(isinstance(path, str) for path in paths)


class VinylSettings:
    """
    The values of `settings.VINYL`. Each value is read and checked on first use, and
    again after the signal `setting_changed`, which `override_settings()` sends.

    Reading an invalid value without a fallback raises `ImproperlyConfigured`. Never
    switches.
    """

    # Of vinyl.orm.

    # Whether dual-mode calls are async.
    IS_ASYNC: Key[Literal["auto"] | bool] = Key(
        "auto",
        _one_of("auto", True, False),
        "'auto', True or False",
        "Use 'auto' for async where an event loop runs, or True or False to force it.",
    )
    # Queries that take this long, in seconds, are logged. None logs none.
    SLOW_QUERIES: Key[float | None] = Key(
        None,
        _or_none(_is_positive),
        "a positive number of seconds",
        "Use a number such as 0.5, or None to log no slow query.",
        id="vinyl.E004",
        fallback=None,
        consequence="no slow query is logged",
    )
    # Whether that log shows the values of parameters, or only their number.
    SLOW_QUERIES_PARAMS: Key[bool] = Key(
        False,
        _one_of(True, False),
        "True or False",
        "Use True to show parameters in the log, or False to hide them.",
        id="vinyl.E004",
        fallback=False,
        consequence="parameters are not shown",
    )
    # Whether each query makes a span: "auto" where opentelemetry-api is installed.
    OPENTELEMETRY: Key[Literal["auto"] | bool] = Key(
        "auto",
        _one_of("auto", True, False),
        "'auto', True or False",
        "Use 'auto' for spans where opentelemetry-api is installed, True or False.",
        id="vinyl.E004",
        fallback=False,
        consequence="no spans are created",
    )
    # What happens where a template touches a relation that is not loaded.
    LAZY_IN_TEMPLATES: Key[Literal["allow", "warn", "raise"]] = Key(
        "allow",
        _one_of("allow", "warn", "raise"),
        "'allow', 'warn' or 'raise'",
        "Use 'warn' to log each line, 'raise' for an error, or 'allow'.",
        id="vinyl.E005",
        fallback="allow",
        consequence="templates may load lazily",
    )
    # Whether such a relation is fetched for one instance or for all that came with it.
    TEMPLATE_FETCH_MODE: Key[Literal["one", "peers"]] = Key(
        "one",
        _one_of("one", "peers"),
        "'one' or 'peers'",
        "Use 'one' to fetch for one instance at a time, or 'peers' for a whole list.",
        id="vinyl.E005",
        fallback="one",
        consequence="templates fetch for one instance at a time",
    )
    # Whether queries whose shape comes again use a plan.
    PLANS: Key[bool] = Key(
        True,
        _one_of(True, False),
        "True or False",
        "Use True for plans, or False to have Django build each query.",
        id="vinyl.E008",
        fallback=True,
        consequence="plans are used",
    )
    # The number of objects after which Python looks for garbage. None leaves it alone.
    GC_THRESHOLD: Key[int | None] = Key(
        50_000,
        _or_none(_is_positive_integer),
        "a positive number of objects",
        "Use an integer such as 50_000, or None to leave the collector alone.",
        id="vinyl.E010",
        fallback=None,
        consequence="the garbage collector is left alone",
    )
    # Threads of in_thread in each event loop, and again for each kind of cache, of
    # file storage and of e-mail backend that blocks.
    THREADS: Key[int] = Key(
        10,
        _is_positive_integer,
        "a positive integer",
        "Use a number of threads such as 10.",
        id="vinyl.E006",
    )
    # Where Django's own ASGI handler runs sync middleware and sync views.
    DJANGO_HANDLER: Key[Literal["threads", "bridge"]] = Key(
        "threads",
        _one_of("threads", "bridge"),
        "'threads' or 'bridge'",
        "Use 'bridge' for sync views on the event loop, or 'threads' as in Django.",
        id="vinyl.E009",
        fallback="threads",
        consequence="sync views run in threads",
    )
    # State of packages that belongs to a request or task instead of a thread.
    TASK_LOCALS: Key[Sequence[str]] = Key(
        [],
        _is_list_of_dotted_paths,
        "a list of dotted paths",
        "List the names of what is a threading.local, as in ['audit.state.current'].",
        id="vinyl.E011",
        fallback=[],
        consequence="requests may share what packages keep for a thread",
    )
    # The aliases that PrimaryReplicaRouter reads from.
    REPLICAS: Key[Sequence[str]] = Key(
        [],
        _is_list,
        "a list",
        "List the aliases of the replicas, as in ['replica'].",
        id="vinyl.E003",
    )

    # Of vinyl.web.

    # The longest body of a request, in bytes. None sets no limit.
    MAX_BODY_SIZE: Key[int | None] = Key(
        100 * 2**20,
        _or_none(_is_positive_integer),
        "a positive number of bytes",
        "Use an integer such as 10 * 2**20, or None for no limit.",
        id="vinyl.E104",
    )
    # How long a client may take to send a body, in seconds. None sets no limit.
    BODY_TIMEOUT: Key[float | None] = Key(
        60.0,
        _or_none(_is_positive),
        "a positive number of seconds",
        "Use a number such as 60, or None for no limit.",
        id="vinyl.E105",
    )
    # How long browsers may keep a static file whose name has no hash, in seconds.
    STATIC_MAX_AGE: Key[int] = Key(
        60,
        _is_integer_from_0,
        "a whole number of seconds",
        "Use an integer such as 60, or 0 to have browsers ask each time.",
        id="vinyl.E106",
    )
    # Async context managers that run around the serving.
    LIFESPAN: Key[str | Sequence[str]] = Key(
        [],
        _is_path_or_paths,
        "a dotted path or a list of them",
        "Use a path such as 'mysite.lifespan.lifespan'.",
        id="vinyl.E107",
    )


KEYS: dict[str, Key[Any]] = {
    name: key for name, key in vars(VinylSettings).items() if isinstance(key, Key)
}

vinyl_settings = VinylSettings()


def check_keys(prefix: str) -> Iterator[checks.CheckMessage]:
    """
    Return an error for each invalid value.

    Args:
        prefix: The beginning of the ids of the checks to run: "vinyl.E0" for
            `vinyl.orm`, "vinyl.E1" for `vinyl.web`.

    Never switches.
    """
    for key in KEYS.values():
        if key.id.startswith(prefix):
            yield from key.check()


def _reread(*, setting: str, **kwargs: Any) -> None:
    if setting == "VINYL":
        vars(vinyl_settings).clear()


setting_changed.connect(_reread, dispatch_uid="vinyl.conf")
