"""Django's class-based views, on both databases."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc, override"
# Not all helpers are annotated.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

import datetime
from typing import Any

import jinja2
import pytest
from django import forms
from django.contrib.auth.mixins import UserPassesTestMixin
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.urls import reverse_lazy

from tests.records.models import Album, Artist, Label
from tests.web.serving import serving, templates
from vinyl.exceptions import NotAwaitedError
from vinyl.orm import in_bridge
from vinyl.web import JSONResponse, PlainTextResponse, path, views
from vinyl.web.decorators import cache_control, method_decorator, never_cache

pytestmark = pytest.mark.anyio

LIST = (
    "{% for album in albums %}{{ album.title }} by {{ album.artist.name }};"
    "{% endfor %}{{ page_obj.number }}/{{ paginator.num_pages }} {{ view.heading }}"
)
FILES = {
    "records/album_list.html": LIST,
    "records/album_detail.html": "{{ album.title }} {{ object.artist }}",
    "records/album_form.html": "{{ form.as_p() }}",
    "records/album_confirm_delete.html": "Delete {{ object.title }}?",
    "records/album_archive.html": "{{ date_list|join(',') }} {{ latest|length }}",
    "records/album_archive_year.html": "{{ year.year }}: {{ object_list|length }}",
    "records/album_archive_month.html": "{{ month }}: {{ object_list|length }} "
    "next: {{ next_month }}",
    "records/album_archive_week.html": "{{ week }}: {{ object_list|length }}",
    "records/album_archive_day.html": "{{ day }}: {{ object_list|length }}",
    "page.html": "{{ greeting }} {{ pk }} {{ extra }}",
    "form.html": "{{ form.as_p() }}",
}


@pytest.fixture
def albums(db: Any) -> list[Album]:
    """Five albums of two artists, from 1961 on. Made in sync mode."""
    artists = [Artist.objects.create(name=name) for name in ("Nina", "<Bach>")]
    albums: list[Album] = [
        Album.objects.create(
            title=f"Album {n}",
            year=1960 + n,
            released=datetime.date(1960 + n, n, 10),
            artist=artists[n % 2],
        )
        for n in range(1, 6)
    ]
    connections["default"].close()
    return albums


# ----- Reading


class Albums(views.ListView):
    model = Album
    paginate_by = 2
    paginate_orphans = 0
    context_object_name = "albums"
    heading = "<all>"

    def get_queryset(self) -> Any:
        albums = super().get_queryset()
        artist = self.request.GET.get("artist")
        if artist and Artist.objects.filter(name=artist).exists():
            albums = albums.filter(artist__name=artist)
        return albums


class NoAlbums(views.ListView):
    queryset = Album.objects.none()
    allow_empty = False


async def test_a_list_view(albums: list[Album]) -> None:
    async with serving(
        path("", Albums.as_view()),
        path("none/", NoAlbums.as_view()),
        path("p<int:page>/", Albums.as_view()),
        **templates(files=FILES),
    ) as page:
        first = await page.get("/")
        assert first.text == ("Album 1 by &lt;Bach&gt;;Album 2 by Nina;1/3 &lt;all&gt;")
        assert first.headers["content-type"] == "text/html; charset=utf-8"
        assert "Album 5" in (await page.get("/?page=last")).text
        assert "Album 3" in (await page.get("/p2/")).text
        assert "Album 4" in (await page.get("/?artist=Nina")).text
        for wrong in ("0", "4", "-1", "x", "9" * 30):
            assert (await page.get("/", params={"page": wrong})).status_code == 404
        assert (await page.get("/none/")).status_code == 404
        head = await page.head("/")
        assert (head.status_code, head.content) == (200, b"")


class OneAlbum(views.DetailView):
    model = Album


class BySlug(views.DetailView):
    model = Album
    slug_field = "title"
    query_pk_and_slug = True


async def test_a_detail_view(albums: list[Album]) -> None:
    async with serving(
        path("<int:pk>/", OneAlbum.as_view()),
        path("titled/<slug>/", BySlug.as_view()),
        **templates(files=FILES),
    ) as page:
        found = await page.get(f"/{albums[0].pk}/")
        assert found.text == "Album 1 &lt;Bach&gt;"
        assert (await page.get("/titled/Album 3/")).text == "Album 3 &lt;Bach&gt;"
        for missing in ("0", "987654321", "9" * 30):
            assert (await page.get(f"/{missing}/")).status_code == 404
        assert (await page.post(f"/{albums[0].pk}/")).status_code == 405


class Greeting(views.TemplateView):
    template_name = "page.html"
    extra_context = {"greeting": "Hello"}


async def test_template_and_redirect_views(db: Any) -> None:
    moving = views.RedirectView.as_view
    async with serving(
        path("greet/<int:pk>/", Greeting.as_view(extra_context={"extra": "<b>"})),
        path("there/<int:pk>/", Greeting.as_view(), name="there"),
        path("named/<int:pk>/", moving(pattern_name="there", query_string=True)),
        path("kept/<int:pk>/", moving(url="/there/%(pk)s/", permanent=True)),
        path("gone/", moving()),
        **templates(files=FILES, undefined=jinja2.Undefined),
    ) as page:
        assert (await page.get("/greet/3/")).text == " 3 &lt;b&gt;"
        named = await page.get("/named/3/?q=1")
        assert (named.status_code, named.headers["location"]) == (302, "/there/3/?q=1")
        kept = await page.post("/kept/3/")
        assert (kept.status_code, kept.headers["location"]) == (301, "/there/3/")
        assert (await page.get("/gone/")).status_code == 410


# ----- Writing


class Create(views.CreateView):
    model = Album
    fields = ["title", "year", "artist"]
    initial = {"year": 1999}
    success_url = "/{id}/"


class Update(views.UpdateView):
    model = Album
    fields = ["title"]

    def form_valid(self, form: Any) -> Any:
        form.instance.notes = f"of {form.instance.artist.name}"
        return super().form_valid(form)


class Delete(views.DeleteView):
    model = Album
    success_url = reverse_lazy("create")


async def test_views_that_write(
    albums: list[Album], monkeypatch: pytest.MonkeyPatch
) -> None:
    album = albums[0]

    def address(self: Album) -> str:
        return f"/of-{self.artist.pk}/"

    monkeypatch.setattr(Album, "get_absolute_url", address, raising=False)
    async with serving(
        path("create/", Create.as_view(), name="create"),
        path("<int:pk>/update/", Update.as_view()),
        path("<int:pk>/delete/", Delete.as_view()),
        **templates(files=FILES),
    ) as page:
        shown = (await page.get("/create/")).text
        assert 'value="1999"' in shown
        assert "&lt;Bach&gt;</option>" in shown
        refused = await page.post("/create/", data={"title": "<i>", "year": "x"})
        assert (refused.status_code, refused.text.count("errorlist")) == (200, 2)
        assert 'value="&lt;i&gt;"' in refused.text
        data = {"title": "New", "year": "2000", "artist": album.artist_id}
        created = await page.post("/create/", data=data)
        new = await Album.objects.get(title="New")
        assert created.headers["location"] == f"/{new.pk}/"

        assert "Album 1" in (await page.get(f"/{album.pk}/update/")).text
        updated = await page.post(f"/{album.pk}/update/", data={"title": "1st"})
        assert updated.headers["location"] == f"/of-{album.artist_id}/"
        assert (await Album.objects.get(pk=album.pk)).notes == "of <Bach>"

        assert (await page.get(f"/{album.pk}/delete/")).text == "Delete 1st?"
        deleted = await page.post(f"/{album.pk}/delete/")
        assert deleted.headers["location"] == "/create/"
        assert (await page.post(f"/{album.pk}/delete/")).status_code == 404
    assert await Album.objects.count() == 5


class Contact(views.FormView):
    template_name = "form.html"
    success_url = "/thanks/"

    class form_class(forms.Form):
        artist = forms.ModelChoiceField(Artist.objects.all())

    def form_valid(self, form: Any) -> Any:
        Label.objects.create(name=form.cleaned_data["artist"].name)
        return super().form_valid(form)


async def test_a_form_view(albums: list[Album]) -> None:
    async with serving(path("", Contact.as_view()), **templates(files=FILES)) as page:
        assert "Nina" in (await page.get("/")).text
        refused = await page.post("/", data={"artist": "0"})
        assert "not one of the available choices" in refused.text
        sent = await page.post("/", data={"artist": albums[1].artist_id})
        assert sent.headers["location"] == "/thanks/"
    assert (await Label.objects.get()).name == "Nina"


# ----- Dates


class Dated:
    model = Album
    date_field = "released"
    allow_future = True


DATED = {
    "": type("A", (Dated, views.ArchiveIndexView), {}),
    "y/<int:year>/": type(
        "Y", (Dated, views.YearArchiveView), {"make_object_list": True}
    ),
    "m/<int:year>/<int:month>/": type(
        "M", (Dated, views.MonthArchiveView), {"month_format": "%m"}
    ),
    "w/<int:year>/<int:week>/": type("W", (Dated, views.WeekArchiveView), {}),
    "d/<int:year>/<int:month>/<int:day>/": type(
        "D", (Dated, views.DayArchiveView), {"month_format": "%m"}
    ),
    "today/": type("T", (Dated, views.TodayArchiveView), {}),
    "o/<int:year>/<int:month>/<int:day>/<int:pk>/": type(
        "O", (Dated, views.DateDetailView), {"month_format": "%m"}
    ),
}


async def test_views_by_date(albums: list[Album]) -> None:
    urls = [path(url, view.as_view()) for url, view in DATED.items()]
    async with serving(*urls, **templates(files=FILES)) as page:
        index = (await page.get("/")).text
        assert index.startswith("1965-01-01,1964-01-01")
        assert index.endswith(" 5")
        assert (await page.get("/y/1963/")).text == "1963: 1"
        assert (await page.get("/y/1950/")).status_code == 404
        month = (await page.get("/m/1963/3/")).text
        assert month == "1963-03-01: 1 next: 1964-04-01"
        assert (await page.get("/m/1963/13/")).status_code == 404
        assert (await page.get("/m/1963/4/")).status_code == 404
        assert (await page.get("/w/1963/10/")).text == "1963-03-10: 1"
        assert (await page.get("/d/1963/3/10/")).text == "1963-03-10: 1"
        assert (await page.get("/today/")).status_code == 404
        day = f"/o/1963/3/10/{albums[2].pk}/"
        assert (await page.get(day)).text == "Album 3 &lt;Bach&gt;"
        assert (await page.get(day.replace("/10/", "/11/"))).status_code == 404


# ----- Async


class Both(views.View):
    async def get(self, request: Any, pk: int) -> Any:
        assert not in_bridge()
        album = await Album.objects.get(pk=pk)
        return JSONResponse({"title": album.title})

    async def post(self, request: Any, pk: int) -> Any:
        form = await request.form()
        return PlainTextResponse(form["x"])


async def test_async_handlers(albums: list[Album]) -> None:
    async with serving(path("<int:pk>/", Both.as_view())) as page:
        assert (await page.get(f"/{albums[0].pk}/")).json() == {"title": "Album 1"}
        assert (await page.post("/1/", data={"x": "y"})).text == "y"
        options = await page.options("/1/")
        assert options.headers["allow"] == "GET, POST, HEAD, OPTIONS"
        assert (await page.delete("/1/")).status_code == 405


def test_handlers_of_both_kinds_are_refused() -> None:
    class Mixed(views.View):
        async def get(self, request: Any) -> None: ...

        def post(self, request: Any) -> None: ...

    with pytest.raises(ImproperlyConfigured, match="all sync or all async"):
        Mixed.as_view()


class Hooks(views.ListView):
    model = Album
    context_object_name = "albums"
    paginate_by = 2
    heading = ""

    async def get_queryset(self) -> Any:
        newest = await Album.objects.latest("year")
        return Album.objects.filter(year__lt=newest.year)

    async def get_context_data(self, **kwargs: Any) -> Any:
        context = await super().get_context_data(**kwargs)
        return {**context, "page_obj": {"number": await Album.objects.count()}}


class AsyncUpdate(views.UpdateView):
    model = Album
    fields = ["title"]
    success_url = "/done/"

    async def get_object(self, queryset: Any = None) -> Any:
        album = await super().get_object(queryset)
        await album.artist
        return album

    async def form_valid(self, form: Any) -> Any:
        assert await form.is_valid()
        form.instance.notes = form.instance.artist.name
        return await super().form_valid(form)

    async def form_invalid(self, form: Any) -> Any:
        response = await super().form_invalid(form)
        response["X-Albums"] = await Album.objects.count()
        return response


class AsyncArchive(views.ArchiveIndexView):
    model = Album
    date_field = "released"

    async def get_dated_items(self) -> Any:
        dates, albums, context = await super().get_dated_items()
        newest = await albums.first()
        return dates, albums.exclude(pk=newest.pk), context


async def test_methods_may_be_async(albums: list[Album]) -> None:
    async with serving(
        path("", Hooks.as_view()),
        path("<int:pk>/", AsyncUpdate.as_view()),
        path("archive/", AsyncArchive.as_view()),
        **templates(files=FILES),
    ) as page:
        listed = (await page.get("/")).text
        assert listed == "Album 1 by &lt;Bach&gt;;Album 2 by Nina;5/2 "
        assert (await page.get("/archive/")).text.endswith(" 4")
        url = f"/{albums[0].pk}/"
        assert "Album 1" in (await page.get(url)).text
        refused = await page.post(url, data={})
        assert "required" in refused.text
        assert refused.headers["x-albums"] == str(len(albums))
        assert (await page.post(url, data={"title": "x"})).status_code == 302
        assert (await page.get("/0/")).status_code == 404
    album = await Album.objects.get(pk=albums[0].pk)
    assert (album.title, album.notes) == ("x", "<Bach>")


class Only(UserPassesTestMixin, views.View):
    raise_exception = True

    async def test_func(self) -> bool:
        return await Album.objects.filter(title=self.request.GET["title"]).exists()


class OnlyPlain(Only):
    def get(self, request: Any) -> Any:
        return PlainTextResponse("in")


class OnlyAsync(Only):
    async def get(self, request: Any) -> Any:
        return PlainTextResponse("in")


@pytest.mark.parametrize("view", [OnlyPlain, OnlyAsync])
async def test_an_async_test_of_the_user_is_awaited(
    view: Any, albums: list[Album]
) -> None:
    async with serving(path("", view.as_view())) as page:
        assert (await page.get("/?title=Album 1")).text == "in"
        assert (await page.get("/?title=Album 9")).status_code == 403


class Dispatching(views.View):
    async def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        if not await Album.objects.exists():
            return PlainTextResponse("nothing")
        return await super().dispatch(request, *args, **kwargs)

    def get(self, request: Any) -> Any:
        return PlainTextResponse(str(Album.objects.count()))


async def test_dispatch_may_be_async(albums: list[Album]) -> None:
    async with serving(path("", Dispatching.as_view())) as page:
        assert (await page.get("/")).text == "5"
        await Album.objects.all().delete()
        assert (await page.get("/")).text == "nothing"


@method_decorator(never_cache, name="dispatch")
class Decorated(views.View):
    @method_decorator(cache_control(private=True))
    def get(self, request: Any) -> Any:
        return PlainTextResponse(str(Album.objects.count()))


class DecoratedAsync(views.View):
    async def get(self, request: Any) -> Any:
        return PlainTextResponse(str(await Album.objects.count()))


async def test_decorated_views(albums: list[Album]) -> None:
    private = cache_control(private=True)
    decorated = method_decorator(private, name="get")(DecoratedAsync)
    async with serving(
        path("", Decorated.as_view()),
        path("async/", never_cache(decorated.as_view())),
    ) as page:
        for url in ("/", "/async/"):
            response = await page.get(url)
            assert response.text == "5"
            assert "private" in response.headers["cache-control"]
            assert "no-store" in response.headers["cache-control"]


async def test_a_forgotten_await_in_an_async_handler(albums: list[Album]) -> None:
    class Forgetful(views.DetailView):
        model = Album

        async def get(self, request: Any, pk: int) -> Any:
            with pytest.raises(NotAwaitedError, match=r"'Forgetful\.get_object'"):
                self.get_object().title  # noqa: B018
            self.object = await self.get_object()
            return self.render_to_response(await self.get_context_data())

    url = path("<int:pk>/", Forgetful.as_view())
    async with serving(url, **templates(files=FILES)) as page:
        found = await page.get(f"/{albums[0].pk}/")
        assert found.text == "Album 1 &lt;Bach&gt;"
