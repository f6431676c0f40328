"""What stands for a value to come refuses whatever Python lets an object refuse."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, call-overload, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="var-annotated"

from __future__ import annotations

import asyncio
import copy
import functools
import logging
import math
import operator
import os
import pickle
import pprint
import reprlib
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from tests.records.models import Album, Artist, Track
from vinyl.bridge.calls import Call
from vinyl.exceptions import NotAwaitedError, NotFetchedError
from vinyl.orm import NotFetched, run
from vinyl.orm.dualmode.streams import Stream

pytestmark = pytest.mark.anyio

# The special methods that Python's data model, its standard library, its drivers and
# template engines look for.
SPECIAL = set(dir(object)) | {
    f"__{name}__"
    for name in (
        "abs add aenter aexit aiter and anext annotations await bool buffer bytes call "
        "ceil class_getitem complex conform contains copy deepcopy del delete delitem "
        "dict divmod enter exit float floor floordiv format fspath get getattr getitem "
        "getnewargs getnewargs_ex getquoted hash html html_format iadd iand "
        "ifloordiv ilshift imatmul imod imul index instancecheck int invert ior ipow "
        "irshift isub iter itruediv ixor len length_hint lshift match_args matmul "
        "missing mod module mro_entries mul name neg next objclass or or pos pow "
        "prepare qualname radd rand rdivmod release_buffer replace reversed "
        "rfloordiv rlshift rmatmul rmod rmul ror round rpow rrshift rshift rsub "
        "rtruediv rxor set set_name setitem setstate slots str sub subclasscheck "
        "truediv trunc weakref xor"
    ).split()
}

MEANT = {
    "it is what it is": (
        "class doc module name qualname slots weakref dict annotations init new del "
        "init_subclass subclasshook class_getitem prepare objclass match_args"
    ),
    "debuggers look at anything": "repr dir sizeof getstate",
    "it is there to be awaited": "await",
    "reading, setting and deleting attributes is refused by name": (
        "getattr getattribute setattr delattr"
    ),
    "pickling and copying begin with __reduce__": (
        "copy deepcopy getnewargs getnewargs_ex reduce_ex setstate"
    ),
    "in-place operators fall back on the plain ones": (
        "iadd iand ifloordiv ilshift imatmul imod imul ior ipow irshift isub itruediv "
        "ixor"
    ),
    "reversed() and length hints ask for the length": "length_hint reversed",
    "markup is made from text": "html html_format",
    "Python's own TypeError will do": (
        "anext buffer instancecheck missing next release_buffer subclasscheck"
    ),
    "only what is an attribute of a class is asked": "delete get set set_name",
    "of psycopg2, which is not used here": "getquoted",
}


@pytest.mark.parametrize("cls", [Call, NotFetched])
def test_each_special_method_is_refused_or_has_its_reason(cls: type) -> None:
    meant = {f"__{name}__" for names in MEANT.values() for name in names.split()}
    refused = {name for name in SPECIAL if _refuses(vars(cls).get(name))}
    assert refused & meant == set()
    assert refused | meant == SPECIAL


def _refuses(method: Any) -> bool:
    return getattr(method, "__module__", "") == "vinyl.bridge.refusals"


async def first_album() -> Album:
    artist = await Artist.objects.create(name="Nina Simone")
    await Album.objects.create(title="Pastel Blues", artist=artist)
    return await Album.objects.get()


def subclassed(value: Any) -> None:
    class It(value):
        pass


def unpacked(value: Any) -> None:
    _, _ = value


def switched(value: Any) -> None:
    match value:
        case 1:
            pass


BINARY = (
    "add and_ floordiv lshift matmul mod mul or_ pow rshift sub truediv xor eq ne lt "
    "le gt ge iadd iand ifloordiv ilshift imatmul imod imul ior ipow irshift isub "
    "itruediv ixor"
).split()
USES: dict[str, Callable[[Any], Any]] = {
    **{name: functools.partial(getattr(operator, name), 7) for name in BINARY},
    **{
        f"{name}, on the left": lambda it, name=name: getattr(operator, name)(it, 7)
        for name in BINARY
    },
    **{
        f.__name__: f
        for f in (
            bool, str, format, bytes, int, float, complex, round, abs, len, list, tuple,
            set, frozenset, dict, iter, sorted, min, sum, reversed, aiter, hash,
            math.floor, math.ceil, math.trunc, math.sqrt, operator.not_, operator.neg,
            operator.pos, operator.invert, operator.index, operator.length_hint,
            os.fspath, os.stat, open, copy.copy, copy.deepcopy, pickle.dumps,
            subclassed, unpacked, switched,
        )
    },
    "divmod": lambda it: divmod(it, 7),
    "divmod of it": lambda it: divmod(7, it),
    "f-string": lambda it: f"by {it}",
    "format spec": lambda it: f"by {it:>10}",
    "percent": lambda it: "by %s" % it,  # noqa: UP031
    "percent, as a number": lambda it: "%d years" % it,  # noqa: UP031
    "str.format": lambda it: "by {}".format(it),  # noqa: UP032
    "join": lambda it: "".join(it),
    "concatenation": lambda it: "by " + it,
    "list and it": lambda it: [1] + it,
    "in it": lambda it: 1 in it,
    "in a list": lambda it: it in [1, 2],
    "in a set": lambda it: it in {1, 2},
    "in a dict": lambda it: it in {1: 2},
    "a set of it": lambda it: {it},
    "a key": lambda it: {it: 1},
    "grouping": lambda it: defaultdict(list)[it].append(1),
    "counting": lambda it: Counter([it]),
    "lru_cache": lambda it: functools.lru_cache(lambda value: value)(it),
    "dict.fromkeys": lambda it: dict.fromkeys([it]),
    "item": lambda it: it["name"],
    "slice": lambda it: it[:3],
    "setting an item": lambda it: operator.setitem(it, 0, 1),
    "deleting an item": lambda it: operator.delitem(it, 0),
    "update": lambda it: {}.update(it),
    "call": lambda it: it(1, a=2),
    "attribute": lambda it: it.title,
    "hasattr": lambda it: hasattr(it, "title"),
    "getattr": lambda it: getattr(it, "title", None),
    "with": lambda it: it.__enter__(),
}  # fmt: skip


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
async def test_what_is_not_fetched_refuses(use: Callable[[Any], Any]) -> None:
    with pytest.raises(NotFetchedError, match=r"Album\.artist .*`await obj\.artist`"):
        use(Album(artist_id=1).artist)


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
async def test_a_call_refuses(use: Callable[[Any], Any]) -> None:
    with pytest.raises(
        NotAwaitedError, match=r"'AlbumQuerySet\.count' .*Write `await`"
    ):
        use(Album.objects.count())


@pytest.mark.parametrize("name", ["set", "delete"])
async def test_attributes_are_not_changed(name: str) -> None:
    album = Album(artist_id=1)
    with pytest.raises(NotFetchedError, match=r"\.name"):
        if name == "set":
            album.artist.name = "Abbey"
        else:
            del album.artist.name


@pytest.mark.usefixtures("db")
class TestAsyncioMayHash:
    async def test_in_gather(self) -> None:
        album = await first_album()
        artist, label, count = await asyncio.gather(
            album.artist, album.label, Album.objects.count()
        )
        assert (artist.name, label, count) == ("Nina Simone", None, 1)

    async def test_one_twice(self) -> None:
        album = await first_album()
        lazy = album.artist
        one, other = await asyncio.gather(lazy, lazy)
        assert one is other

    async def test_in_functions_that_take_awaitables(self) -> None:
        await first_album()
        for wait in (
            lambda lazy: asyncio.wait_for(lazy, 5),
            asyncio.ensure_future,
            asyncio.shield,
            lambda lazy: next(iter(asyncio.as_completed([lazy]))),
        ):
            album = await Album.objects.get()
            assert (await wait(album.artist)).name == "Nina Simone"

    async def test_calls_in_tasks(self) -> None:
        await first_album()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(Album.objects.count())
        assert task.result() == 1
        done, _ = await asyncio.wait({asyncio.create_task(Album.objects.count())})
        assert done.pop().result() == 1


@pytest.mark.usefixtures("db")
class TestQuerySets:
    """They are hashed and compared by identity, as in Django."""

    @pytest.mark.parametrize("raw", [False, True], ids=["query", "raw"])
    @pytest.mark.parametrize(
        "use",
        [
            str,
            format,
            lambda qs: f"{qs}",
            lambda qs: f"{qs!s}",
            lambda qs: "%s" % qs,  # noqa: UP031
            lambda qs: "%s" % (qs,),  # noqa: UP031
            lambda qs: "{}".format(qs),  # noqa: UP032
            lambda qs: " ".join(map(str, [qs])),
        ],
        ids="str format f-string f-string!s percent tuple str.format map".split(),
    )
    async def test_are_not_turned_into_text(self, use: Any, raw: bool) -> None:
        queryset: Any = Track.objects.all()
        if raw:
            queryset = Track.objects.raw("SELECT * FROM records_track")
        with pytest.raises(NotAwaitedError, match="QuerySet of Track .*`repr"):
            use(queryset)
        assert await queryset == []
        assert use(queryset) in (repr(queryset), "<QuerySet []>")

    async def test_related_managers_are_not_lists(self) -> None:
        album = await first_album()
        for queryset in (album.tracks.all(), album.genres.all(), album.tags.all()):
            with pytest.raises(NotAwaitedError, match="turned into text"):
                str(queryset)

    async def test_are_shown_to_debuggers(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        tracks = Track.objects.all()
        shown = "<QuerySet of Track, not awaited>"
        assert f"{tracks!r}" == pprint.pformat(tracks) == shown
        assert reprlib.repr(tracks).endswith("not awaited>")
        logging.getLogger("test").warning("tracks: %r", tracks)
        assert caplog.messages == [f"tracks: {shown}"]
        assert repr([tracks]) == f"[{shown}]"

    async def test_are_text_where_reading_may_wait(self) -> None:
        await first_album()
        assert (
            await run(str, Artist.objects.all()) == "<QuerySet [<Artist: Nina Simone>]>"
        )

    async def test_are_found_by_identity(self) -> None:
        one, other = Track.objects.all(), Track.objects.all()
        assert {one: 1}[one] == 1
        assert other not in {one}


@pytest.mark.parametrize(
    "use",
    [list, len, operator.itemgetter(0), lambda it: 1 in it],
    ids=["list", "len", "index", "in"],
)
async def test_a_stream_is_not_a_list(use: Callable[[Any], Any]) -> None:
    stream = Track.objects.iterator()
    assert isinstance(stream, Stream)
    with pytest.raises((NotAwaitedError, TypeError)):
        use(stream)
