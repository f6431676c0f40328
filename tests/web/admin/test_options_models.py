"""Models that are not like the others, and posts that no browser would send."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="type-arg, var-annotated"

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from django.contrib.admin.utils import quote
from django.contrib.contenttypes.models import ContentType
from django.contrib.postgres.fields import (
    ArrayField,
    DateTimeRangeField,
    IntegerRangeField,
)
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import FileSystemStorage
from django.db import connections, models
from django.test.utils import isolate_apps

from tests.web.admin.administering import (
    administering,
    superuser,
    text,
)
from tests.web.http.posting import Page
from vinyl.web.admin import AdminSite, StackedInline, TabularInline

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]

# Models of this module only: their tables are made by the fixture.
with isolate_apps("tests.records"):

    class Parcel(models.Model):
        id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
        name = models.CharField(max_length=20)

        class Meta:
            app_label = "records"

        def __str__(self) -> str:
            return self.name

    class Stamp(models.Model):
        id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
        parcel = models.ForeignKey(Parcel, models.CASCADE)
        value = models.DecimalField(max_digits=6, decimal_places=2)

        class Meta:
            app_label = "records"

        def __str__(self) -> str:
            return str(self.value)

    class Word(models.Model):
        key = models.CharField(primary_key=True, max_length=60)
        meaning = models.CharField(max_length=60)

        class Meta:
            app_label = "records"

        def __str__(self) -> str:
            return self.key

    class Person(models.Model):
        name = models.CharField(max_length=20)

        class Meta:
            app_label = "records"

        def __str__(self) -> str:
            return self.name

    class Passport(models.Model):
        """Its primary key is a foreign key."""

        person = models.OneToOneField(Person, models.CASCADE, primary_key=True)
        number = models.CharField(max_length=20)

        class Meta:
            app_label = "records"

        def __str__(self) -> str:
            return self.number

    class Singer(Person):
        """With a table of its own beside that of its parent."""

        voice = models.CharField(max_length=20)

        class Meta:
            app_label = "records"

    class Song(models.Model):
        singer = models.ForeignKey(Singer, models.CASCADE)
        title = models.CharField(max_length=20)

        class Meta:
            app_label = "records"

        def __str__(self) -> str:
            return self.title

    class Duet(models.Model):
        """With two relations to the same model."""

        first = models.ForeignKey(Person, models.CASCADE, related_name="firsts")
        second = models.ForeignKey(Person, models.CASCADE, related_name="duets")

        class Meta:
            app_label = "records"

        def __str__(self) -> str:
            return f"Duet {self.pk}"

    class Document(models.Model):
        data = models.JSONField(default=dict, blank=True)
        scan = models.FileField(upload_to="scans", blank=True)
        picture = models.ImageField(upload_to="pictures", blank=True)

        class Meta:
            app_label = "records"

        def __str__(self) -> str:
            return f"Document {self.pk}"

    class Spans(models.Model):
        numbers = ArrayField(models.IntegerField(), size=3)
        years = IntegerRangeField(null=True, blank=True)
        open = DateTimeRangeField(null=True, blank=True)

        class Meta:
            app_label = "records"

        def __str__(self) -> str:
            return f"Spans {self.pk}"

    class Pair(models.Model):
        pk = models.CompositePrimaryKey("left", "right")
        left = models.IntegerField()
        right = models.IntegerField()

        class Meta:
            app_label = "records"

        def __str__(self) -> str:
            return f"{self.left}, {self.right}"


MODELS = [Parcel, Stamp, Word, Person, Passport, Singer, Song, Duet, Document]


@pytest.fixture
def tables(db: str) -> Iterator[None]:
    made = [*MODELS, *([Spans] if db == "postgresql" else [])]
    with connections["default"].schema_editor() as editor:
        for model in made:
            editor.create_model(model)
    connections["default"].close()
    yield
    with connections["default"].schema_editor() as editor:
        for model in reversed(made):
            editor.delete_model(model)
    names = [model._meta.model_name for model in made]
    ContentType.objects.filter(app_label="records", model__in=names).delete()


class Stamps(TabularInline):
    model = Stamp
    extra = 1


class Passports(StackedInline):
    model = Passport


class Songs(TabularInline):
    model = Song
    extra = 1


class Duets(TabularInline):
    model = Duet
    fk_name = "second"


def site_of_models() -> AdminSite:
    site = AdminSite()
    site.register(Parcel, inlines=[Stamps])
    site.register(Word, list_display=["key", "meaning"], list_editable=["meaning"])
    site.register(Person, inlines=[Passports, Duets])
    site.register(Singer, inlines=[Songs])
    site.register([Passport, Document, Spans])
    return site


def links_of(page: Any) -> set[str]:
    return {unquote(link) for link in Page(page.text).links}


def page_of(model: type[models.Model], pk: Any, page: str = "change") -> str:
    return f"/admin/records/{model._meta.model_name}/{quote(pk)}/{page}/"


@pytest.mark.usefixtures("tables")
async def test_uuids_are_keys_of_objects_and_rows() -> None:
    await superuser()
    async with administering(site=site_of_models()) as http:
        data = Page((await http.get("/admin/records/parcel/add/")).text).posted
        data |= {"name": ["First"], "stamp_set-0-value": ["1.50"]}
        response = await http.post("/admin/records/parcel/add/", data=data)
        assert response.status_code == 302, text(response)
        parcel = await Parcel.objects.get()
        url = page_of(Parcel, parcel.pk)
        page = Page((await http.get(url)).text)
        assert page.posted["stamp_set-0-value"] == ["1.50"]
        page.posted["stamp_set-0-DELETE"] = ["on"]
        assert (await http.post(url, data=page.posted)).status_code == 302
        assert await Stamp.objects.count() == 0
        assert (
            f"/records/parcel/{parcel.pk}/change/"
            in (await http.get("/admin/records/parcel/")).text
        )
        for wrong in ("not-a-uuid", "1", uuid.uuid4()):
            response = await http.get(page_of(Parcel, wrong))
            assert response.headers["location"] == "/admin/"
        listed = {"action": "delete_selected", "_selected_action": "not-a-uuid"}
        response = await http.post("/admin/records/parcel/", data=listed)
        assert response.status_code in (200, 302)
        assert await Parcel.objects.count() == 1


ODD = ["a/b", "a_2Fb", "add", "?x=1#y", 'é"<b>&', "50%", "a;b:c@d", "1,5", "\\'"]


@pytest.mark.usefixtures("tables")
async def test_keys_with_odd_characters() -> None:
    await superuser()
    await Word.objects.bulk_create([Word(key=key, meaning="none") for key in ODD])
    async with administering(site=site_of_models()) as http:
        listed = await http.get("/admin/records/word/")
        links = links_of(listed)
        for key in ODD:
            url = page_of(Word, key)
            assert url in links
            page = await http.get(url)
            assert page.status_code == 200, url
            data = Page(page.text).posted
            assert data["key"] == [key]
            data["meaning"] = ["some"]
            assert (await http.post(url, data=data)).status_code == 302
            # Its links lead to its own pages.
            for name in ("history", "delete"):
                link = page_of(Word, key, name)
                assert link in links_of(page)
                assert key in text(await http.get(link))
        editable = Page((await http.get("/admin/records/word/")).text).posted
        editable = {**editable, "form-0-meaning": ["edited"], "_save": ["1"]}
        response = await http.post("/admin/records/word/", data=editable)
        assert response.status_code == 302
        response = await http.post(page_of(Word, "a/b", "delete"), data={"post": "yes"})
        assert response.status_code == 302
    words = {word.key: word.meaning async for word in Word.objects.all()}
    assert set(words) == set(ODD) - {"a/b"}
    assert set(words.values()) <= {"some", "edited"}


@pytest.mark.usefixtures("tables")
async def test_a_foreign_key_as_primary_key() -> None:
    await superuser()
    person = await Person.objects.create(name="Nina")
    url = page_of(Person, person.pk)
    async with administering(site=site_of_models()) as http:
        data = Page((await http.get(url)).text).posted
        data["passport-0-number"] = ["X1"]
        assert (await http.post(url, data=data)).status_code == 302
        data = Page((await http.get(url)).text).posted
        assert data["passport-0-number"] == ["X1"]
        data["passport-0-number"] = ["X2"]
        assert (await http.post(url, data=data)).status_code == 302
        own = page_of(Passport, person.pk)
        data = Page((await http.get(own)).text).posted
        assert (data["person"], data["number"]) == ([str(person.pk)], ["X2"])
        data["number"] = ["X3"]
        assert (await http.post(own, data=data)).status_code == 302
    assert (await Passport.objects.get()).number == "X3"


@pytest.mark.usefixtures("tables")
async def test_an_inline_of_one_of_two_relations() -> None:
    await superuser()
    first = await Person.objects.create(name="Nina")
    second = await Person.objects.create(name="Etta")
    url = page_of(Person, second.pk)
    async with administering(site=site_of_models()) as http:
        data = Page((await http.get(url)).text).posted
        data["duets-0-first"] = [str(first.pk)]
        response = await http.post(url, data=data)
        assert response.status_code == 302, text(response)
    duet = await Duet.objects.get()
    assert (duet.first_id, duet.second_id) == (first.pk, second.pk)


@pytest.mark.usefixtures("tables")
async def test_a_model_with_a_parent_model() -> None:
    await superuser()
    async with administering(site=site_of_models()) as http:
        add = "/admin/records/singer/add/"
        data = Page((await http.get(add)).text).posted
        data |= {"name": ["Nina"], "voice": ["alto"], "song_set-0-title": ["Sinnerman"]}
        response = await http.post(add, data=data)
        assert response.status_code == 302, text(response)
        singer = await Singer.objects.get()
        url = page_of(Singer, singer.pk)
        data = Page((await http.get(url)).text).posted
        data |= {"name": ["Nina Simone"], "song_set-0-title": ["Four Women"]}
        assert (await http.post(url, data=data)).status_code == 302
        assert "Nina Simone" in text(await http.get(page_of(Person, singer.pk)))
        shown = text(await http.get(page_of(Singer, singer.pk, "delete")))
        assert "Songs: 1" in shown
    song = await Song.objects.get()
    assert song.title == "Four Women"
    assert (await Person.objects.get()).name == "Nina Simone"


@pytest.fixture
def folder(tables: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("scan", "picture"):
        field = Document._meta.get_field(name)
        monkeypatch.setattr(field, "storage", FileSystemStorage(tmp_path, "/media/"))
    return tmp_path


HOSTILE = [
    "../../etc/passwd",
    "..\\..\\boot.ini",
    "/etc/passwd",
    "a\x00b.txt",
    'x"; rm -rf.txt',
    "<img src=x onerror=alert(1)>.svg",
    "." * 200 + ".txt",
    "é" * 300 + ".txt",
    "con.txt\r\nX-Injected: 1",
    "",
]


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
async def test_a_hostile_name_of_an_upload(folder: Path, name: str) -> None:
    await superuser()
    async with administering(site=site_of_models()) as http:
        response = await http.post(
            "/admin/records/document/add/",
            data={"data": "{}"},
            files={"scan": (name, b"content")},
        )
        assert response.status_code in (200, 302, 400), response.text[:2000]
        assert "<img src=x" not in (await http.get("/admin/records/document/")).text
        if response.status_code == 302 and (document := await Document.objects.get()):
            page = await http.get(page_of(Document, document.pk))
            assert "<img src=x" not in page.text
    written = files_in(folder)
    assert len(written) <= 1
    assert all(path.parent == folder / "scans" for path in written)


async def test_pictures_are_shown_and_files_kept(folder: Path) -> None:
    await superuser()
    document = await Document.objects.create(
        picture="pictures/a b.png", scan="scans/c.pdf"
    )
    url = page_of(Document, document.pk)
    async with administering(site=site_of_models()) as http:
        page = await http.get(url)
        assert '<img class="preview" src="/media/pictures/a%20b.png"' in page.text
        assert "preview" not in page.text.partition('name="scan"')[0]
        assert 'href="/media/scans/c.pdf"' in page.text
        # An error elsewhere keeps both, and the marks of what is to be cleared.
        data = {"data": "{", "scan-clear": "on"}
        page = await http.post(url, data=data)
        assert "Enter a valid JSON." in text(page)
        assert "/media/scans/c.pdf" in page.text
        assert (await http.post(url, data={"data": "{}"})).status_code == 302
        await document.refresh_from_db()
        assert (document.picture.name, document.scan.name) == (
            "pictures/a b.png",
            "scans/c.pdf",
        )
        response = await http.post(
            url,
            data={"data": "{}", "scan-clear": "on"},
            files={"scan": ("new.txt", b"new")},
        )
        assert "submit a file or check the clear checkbox" in text(response)
        await http.post(url, data={"data": "{}", "scan-clear": "on"})
    await document.refresh_from_db()
    assert document.scan.name == ""


@pytest.mark.usefixtures("tables")
async def test_json_is_checked_and_laid_out() -> None:
    await superuser()
    document = await Document.objects.create(data={"é": [1, {"a": None}], "b": "<"})
    url = page_of(Document, document.pk)
    site = site_of_models()
    async with administering(site=site) as http:
        [shown] = Page((await http.get(url)).text).posted["data"]
        assert json.loads(shown) == document.data
        assert '\n  "é": [\n    1,\n' in shown
        data = {"data": shown}
        assert (await http.post(url, data=data)).status_code == 302
        for wrong in ("{'a': 1}", "[1,", "nan\x00"):
            page = await http.post(url, data={"data": wrong})
            if page.status_code == 200:
                assert "Enter a valid JSON." in text(page)
                # As it has been typed, to go on from.
                assert Page(page.text).posted["data"] == [wrong]
        await http.post(url, data={"data": '"text"'})
    changed = await Document.objects.get()
    assert changed.data == "text"
    readonly = AdminSite()
    readonly.register(Document, readonly_fields=["data"])
    async with administering(site=readonly) as http:
        assert "text" in text(await http.get(url))


@pytest.mark.parametrize("db", ["postgresql"], indirect=True)
@pytest.mark.usefixtures("tables")
async def test_arrays_and_ranges_of_postgresql() -> None:
    await superuser()
    async with administering(site=site_of_models()) as http:
        add = "/admin/records/spans/add/"
        assert (await http.get(add)).status_code == 200
        data = {
            "numbers": "1, 2,3",
            "years_0": "1950",
            "years_1": "1970",
            "open_0_0": "2024-01-01",
            "open_0_1": "10:00",
            "open_1_0": "2024-01-02",
            "open_1_1": "11:00:30",
            "open_0": "2024-01-01 10:00",
            "open_1": "2024-01-02 11:00:30",
        }
        response = await http.post(add, data=data)
        assert response.status_code == 302, text(response)
        spans = await Spans.objects.get()
        assert spans.numbers == [1, 2, 3]
        assert (spans.years.lower, spans.years.upper) == (1950, 1970)
        assert spans.open.upper.second == 30
        url = page_of(Spans, spans.pk)
        found = Page((await http.get(url)).text).posted
        assert found["numbers"] == ["1,2,3"]
        assert (await http.post(url, data=found)).status_code == 302
        wrong = {**found, "numbers": "1,x", "years_0": ["1980"]}
        shown = text(await http.post(url, data=wrong))
        assert "Item 2 in the array did not validate" in shown
        assert "must not exceed the end of the range" in shown
    again = await Spans.objects.get()
    assert (again.numbers, again.years, again.open) == (
        spans.numbers,
        spans.years,
        spans.open,
    )


def test_a_composite_primary_key_is_refused_when_it_is_registered() -> None:
    with pytest.raises(ImproperlyConfigured, match="composite primary key"):
        AdminSite().register(Pair)
