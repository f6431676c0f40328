"""What the toolbar calls a query: its operations and tables, none of them twice."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type"

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.db.models import Count, Exists, OuterRef, Subquery, Value
from hypothesis import given
from hypothesis import strategies as st

from tests.records.models import Album, Artist, Label, Track
from tests.web.serving import serving
from vinyl.orm import run
from vinyl.orm.observe.sql_text import LONGEST_SQL, summary_of
from vinyl.orm.recording import recording
from vinyl.web import HTMLResponse, Request, Response, path

ALBUM, ARTIST, LABEL, TRACK = (
    f"records_{name}" for name in ("album", "artist", "label", "track")
)


def annotated() -> Any:
    newest = Album.objects.filter(artist=OuterRef("pk")).order_by("-year")
    return Artist.objects.annotate(newest=Subquery(newest.values("title")[:1]))


def raw(sql: str) -> Callable[[], Any]:
    def ask() -> None:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            cursor.fetchall()

    return ask


def twice_annotated() -> Any:
    tracks = Track.objects.filter(album__artist=OuterRef("pk")).values("title")[:1]
    return list(annotated().annotate(track=Subquery(tracks)))


QUERIES: dict[str, tuple[Callable[[], Any], str]] = {
    "a subquery": (lambda: list(annotated()), f"SELECT {ALBUM} {ARTIST}"),
    "two subqueries": (twice_annotated, f"SELECT {ALBUM} {TRACK} {ARTIST}"),
    "its count": (lambda: annotated().filter(newest="x").count(), "SELECT"),
    "exists": (
        lambda: list(
            Artist.objects.filter(Exists(Album.objects.filter(artist=OuterRef("pk"))))
        ),
        f"SELECT {ARTIST} {ALBUM}",
    ),
    "a count of a subquery": (
        lambda: Album.objects.values("year").distinct().count(),
        f"SELECT {ALBUM}",
    ),
    "an aggregate": (
        lambda: Artist.objects.annotate(n=Count("albums")).filter(n=1).count(),
        f"SELECT {ARTIST} {ALBUM}",
    ),
    "a union": (
        lambda: list(
            Artist.objects.values("name").order_by().union(Label.objects.values("name"))
        ),
        f"SELECT {ARTIST} {LABEL}",
    ),
    "a year": (
        lambda: list(Album.objects.filter(released__month=10)),
        f"SELECT {ALBUM}",
    ),
    "a join with itself": (
        lambda: list(Album.objects.filter(artist__albums__year=1965)),
        f"SELECT {ALBUM} {ARTIST}",
    ),
    "a deletion": (
        lambda: Track.objects.filter(album__artist__name="x").delete(),
        f"DELETE {TRACK} SELECT {TRACK} {ALBUM} {ARTIST}",
    ),
    "an update": (
        lambda: Album.objects.filter(artist__name="x").update(year=1),
        f"UPDATE {ALBUM} SELECT {ALBUM} {ARTIST}",
    ),
    "returning": (lambda: Label.objects.create(name="from x"), f"INSERT {LABEL}"),
    "a value": (
        lambda: list(Artist.objects.annotate(x=Value("SELECT 1 FROM secret"))),
        f"SELECT {ARTIST}",
    ),
    "a CTE": (
        raw(f'WITH t AS (SELECT id FROM "{LABEL}") SELECT id FROM t'),
        f"SELECT {LABEL} t",
    ),
    "a name with quotes": (
        raw('WITH "a ""b"" FROM c" AS (SELECT 1) SELECT * FROM "a ""b"" FROM c"'),
        'SELECT a "b" FROM c',
    ),
    "a literal": (raw("SELECT 'it''s (FROM a' AS x, 1 AS \"select\""), "SELECT"),
}


@pytest.mark.parametrize("name", QUERIES)
def test_of_a_query(db: str, name: str) -> None:
    ask, summary = QUERIES[name]
    with recording(full=True) as record:
        ask()
    # A deletion on SQLite begins a transaction.
    [query] = [one for one in record.queries if one.summary != "BEGIN"]
    if name == "its count":
        # Django leaves out what it needs not count, by its version.
        assert query.summary in (f"SELECT {ALBUM} {ARTIST}", f"SELECT {ARTIST} {ALBUM}")
    else:
        assert query.summary == summary, query.sql


@pytest.mark.parametrize("db", ["postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("sql", "summary"),
    [
        ("SELECT DISTINCT ON (year) year FROM records_album", f"SELECT {ALBUM}"),
        (r"SELECT E'\' FROM a' FROM records_album", f"SELECT {ALBUM}"),
        ("SELECT $$it's FROM a$$, $q$ FROM b $$ $q$ FROM records_album", "SELECT"),
        ("SELECT trim(both 'x' FROM title) FROM records_album", f"SELECT {ALBUM}"),
        ("SELECT trim(both FROM title) FROM records_album", f"SELECT {ALBUM}"),
        ("SELECT overlay(title placing 'x' FROM id::int) FROM records_album", "SELECT"),
        (
            "SELECT 1 FROM (records_album a JOIN records_artist b ON true)",
            f"SELECT {ARTIST}",
        ),
        ("SELECT 1 FROM records_album a, LATERAL (SELECT a.id) x", f"SELECT {ALBUM}"),
    ],
)
def test_of_what_postgresql_writes(db: str, sql: str, summary: str) -> None:
    with recording(full=True) as record:
        raw(sql)()
    found = record.queries[0].summary
    assert found == summary if " " in summary else found == f"SELECT {ALBUM}"


@pytest.mark.parametrize(
    ("sql", "summary"),
    [
        ("SELECT 1 FROM `a``b` JOIN [c d] ON 1", "SELECT a`b c d"),
        ("SELECT 1 FROM a WHERE x = %(delete)s AND y = :update", "SELECT a"),
        ("SELECT t.delete, t.update FROM t", "SELECT t"),
        ('SELECT 1 FROM "s" . "t"', "SELECT s.t"),
        ("SELECT 1 FROM a WHERE x = 'half a value FROM b", "SELECT a"),
        ("SELECT 1 FROM a /* half a comment FROM b", "SELECT a"),
        ("INSERT INTO a SELECT 1 FROM b UNION SELECT 2 FROM b", "INSERT a SELECT b"),
        ("EXPLAIN SELECT 1 FROM a", "EXPLAIN SELECT a"),
    ],
)
def test_of_sql_by_hand(sql: str, summary: str) -> None:
    assert summary_of(sql) == summary


@pytest.mark.parametrize("length", [10, LONGEST_SQL, 5 * LONGEST_SQL])
@pytest.mark.parametrize("shift", [0, 1])
def test_where_long_sql_is_cut_has_no_say(db: str, length: int, shift: int) -> None:
    """Half of the quotes are left out of the text that is shown."""
    values = "'x', " * (length // 5)
    sql = (
        f"SELECT name FROM records_artist WHERE name IN ({values}'{'y' * shift}', "
        f"' FROM secret ') AND id IN (SELECT artist_id FROM records_album)"
    )
    with recording(full=True) as record:
        raw(sql)()
    assert record.queries[0].summary == f"SELECT {ARTIST} {ALBUM}"


WORDS = ("SELECT", "FROM", "a", "JOIN", "UPDATE", "(", ")", "''", "b")
texts = st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join)
noise = st.one_of(
    texts.map("/* {} */".format),
    texts.map("-- {}\n".format),
)
values = st.one_of(
    texts.map("'{}'".format),
    texts.map('"{}"'.format),
    texts.map(lambda text: f"$${text}$$"),
    st.just("%(update)s"),
)


@given(st.data())
def test_values_names_and_comments_have_no_say(data: st.DataObject) -> None:
    sql = "SELECT {} , ( SELECT {} FROM b ) FROM a JOIN b ON {} WHERE x IN ( {} )"
    sql = re.sub(r"\{\}", lambda _: data.draw(values), sql)
    words = re.split(r"(?<=[A-Z(),ab]) (?=[A-Z(),ab])", sql)
    gaps = [data.draw(st.one_of(st.just(" "), noise)) for _ in words]
    sql = "".join(f"{word} {gap} " for word, gap in zip(words, gaps, strict=True))
    assert summary_of(sql) == "SELECT b a"


@pytest.mark.anyio
async def test_on_the_page(db: str) -> None:
    async def view(request: Request) -> Response:
        await annotated()
        await run(twice_annotated)
        return HTMLResponse("<body></body>")

    settings = {"DEBUG": True, "MIDDLEWARE": ["vinyl.web.toolbar.ToolbarMiddleware"]}
    async with serving(path("", view), **settings) as http:
        text = html.unescape((await http.get("/")).text)
    shown = re.findall(r'<span class="what">(.*?)\s*</span>', text, re.S)
    assert shown == [f"SELECT {ALBUM} {ARTIST}", f"SELECT {ALBUM} {TRACK} {ARTIST}"]
