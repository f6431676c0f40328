import asyncio

import crum
import httpx
import sesame.utils
import watson.search
from concurrency.exceptions import RecordModifiedError
from django import forms
from django.contrib.auth import get_user_model
from django.http import HttpResponse, JsonResponse
from django.urls import include, path
from django_guid import get_guid
from django_summernote.models import Attachment
from django_summernote.widgets import SummernoteWidget
from drf_writable_nested import WritableNestedModelSerializer
from flags.decorators import flag_required
from flags.models import FlagState
from flags.state import flag_enabled
from haystack.query import SearchQuerySet
from huey.contrib.djhuey import db_task
from rest_framework import serializers
from rest_framework.decorators import api_view
from rest_framework.response import Response
from sequences import get_next_value
from user_visit.models import UserVisit
from watson.models import SearchEntry
from zen_queries import QueriesDisabledError, queries_disabled

from tests.compatibility.packages.site_tools.models import Stock
from tests.compatibility.shop.models import Album, Artist, stock_the_shop

watson.search.register(Album, fields=("title", "artist__name"))


def plain(request):
    return HttpResponse(Album.objects.count())


async def asynchronous(request):
    return HttpResponse(await Album.objects.acount())


def who(request):
    # Others answer meanwhile.
    Album.objects.count()
    user = crum.get_current_user()
    Album.objects.count()
    return JsonResponse({"user": str(user), "guid": get_guid()})


async def async_guid(request):
    await Album.objects.acount()
    return JsonResponse({"guid": get_guid()})


def flags(request):
    names = ("NEW_SHOP", "FOR_BETA")
    return JsonResponse({name: flag_enabled(name, request=request) for name in names})


@flag_required("NEW_SHOP")
def guarded(request):
    return HttpResponse("new")


def found(request):
    simple = [hit.object.title for hit in SearchQuerySet().filter(content="Wild")]
    indexed = [hit.object.title for hit in watson.search.search("simone silk")]
    return JsonResponse({"haystack": simple, "watson": indexed})


def saved(request, name):
    Album.objects.count()
    Album.objects.create(title=name, artist=Artist.objects.first())
    Album.objects.count()
    if "bad" in name:
        raise ValueError(f"{name} is not indexed")
    return HttpResponse(name)


async def async_saved(request, name):
    await Album.objects.acount()
    await Album.objects.acreate(title=name, artist=await Artist.objects.afirst())
    await Album.objects.acount()
    if "bad" in name:
        raise ValueError(f"{name} is not indexed")
    return HttpResponse(name)


def number(request):
    return HttpResponse(get_next_value("orders"))


def without_queries(request):
    albums = list(Album.objects.all())
    with queries_disabled():
        titles = [album.title for album in albums]
        try:
            Album.objects.count()
        except QueriesDisabledError:
            titles.append("refused")
    return JsonResponse([*titles, Album.objects.count()], safe=False)


class StockForm(forms.ModelForm):
    class Meta:
        model = Stock
        fields = ("title", "shelves", "labels")


class NoteForm(forms.Form):
    note = forms.CharField(widget=SummernoteWidget())


def stock(request):
    form = StockForm(request.POST or None)
    if not form.is_valid():
        return JsonResponse(form.errors, status=400)
    row = form.save()
    return JsonResponse(
        {"pk": row.pk, "shelves": list(row.shelves), "tags": row.labels}
    )


async def async_conflict(request):
    one = await Stock.objects.afirst()
    other = await Stock.objects.afirst()
    one.title += "!"
    await one.asave()
    try:
        await other.asave()
    except RecordModifiedError:
        return HttpResponse("conflict")


def note(request):
    return HttpResponse(NoteForm().as_p())


class AlbumSerializer(serializers.ModelSerializer):
    class Meta:
        model = Album
        fields = ("pk", "title", "year")


class ArtistSerializer(WritableNestedModelSerializer):
    albums = AlbumSerializer(many=True)

    class Meta:
        model = Artist
        fields = ("pk", "name", "albums")


@api_view(["POST"])
def nested(request):
    artist = Artist.objects.filter(name=request.data["name"]).first()
    serializer = ArtistSerializer(artist, data=request.data)
    serializer.is_valid(raise_exception=True)
    serializer.save()
    return Response(serializer.data)


@db_task()
def add_album(title):
    Artist.objects.first().albums.create(title=title)
    return title


def queued(request):
    return HttpResponse(add_album("Queued").get(blocking=True))


urlpatterns = [
    path("plain/", plain, name="plain"),
    path("async/", asynchronous),
    path("who/", who),
    path("async-guid/", async_guid),
    path("flags/", flags),
    path("guarded/", guarded),
    path("found/", found),
    path("saved/<name>/", saved),
    path("async-saved/<name>/", async_saved),
    path("number/", number),
    path("without-queries/", without_queries),
    path("stock/", stock),
    path("async-conflict/", async_conflict),
    path("note/", note),
    path("nested/", nested),
    path("queued/", queued),
    path("summernote/", include("django_summernote.urls")),
]


def step_views_through_all_middleware(site):
    stock_the_shop()
    for url in ("/plain/", "/async/"):
        response = site.ok(url, "3")
        assert response.headers["Correlation-ID"]


def step_another_host(site):
    for url, end in (("/home/", "//127.0.0.1/plain/"), ("/async/", "other")):
        response = site.ok(url, "other 3", headers={"Host": "other.example.org"})
        assert response.text.endswith(end) or "//www" in response.text, response.text


def step_current_user_of_requests_at_a_time(site):
    names = ["nina", "miles", "ella"]
    cookies = {}
    for name in names:
        site.login(name)
        cookies[name] = site.cookies["sessionid"]
    site.logout()
    asyncio.run(ask_as(site, cookies))


async def ask_as(site, cookies):
    async with httpx.AsyncClient(base_url=site.origin) as client:

        async def ask(name, number):
            headers = {"Cookie": f"sessionid={cookies[name]}"}
            headers["Correlation-ID"] = f"{name}{number}"
            told = (await client.get("/who/", headers=headers)).json()
            assert told == {"user": name, "guid": f"{name}{number}"}, (told, name)

        await asyncio.gather(*(ask(name, n) for n in range(5) for name in cookies))


def step_request_ids(site):
    headers = {"Correlation-ID": "abc"}
    response = site.ok("/async-guid/", headers=headers)
    assert response.json() == {"guid": "abc"}
    assert response.headers["Correlation-ID"] == "abc"


def step_flags(site):
    assert site.ok("/flags/").json() == {"NEW_SHOP": False, "FOR_BETA": False}
    assert site.ok("/flags/?beta=yes").json()["FOR_BETA"]
    assert site.get("/guarded/").status_code == 404
    FlagState.objects.create(name="NEW_SHOP", condition="boolean", value="True")
    site.ok("/guarded/", "new")


def step_visits_are_recorded(site):
    before = UserVisit.objects.count()
    user = site.login("visitor")
    for _ in range(2):
        site.ok("/plain/")
    assert UserVisit.objects.count() == before + 1
    assert UserVisit.objects.filter(user=user).count() == 1


def step_login_by_a_link(site):
    site.logout()
    user = get_user_model().objects.create_user("linked", password="a password")
    query = sesame.utils.get_query_string(user)
    response = site.get(f"/who/{query}", follow_redirects=True)
    assert response.json()["user"] == "linked", response.text[:300]
    assert site.ok("/who/").json()["user"] == "linked"


def step_search(site):
    stock_the_shop()
    assert site.ok("/found/").json() == {"haystack": ["Wild"], "watson": ["Silk"]}


def step_index_of_requests_at_a_time(site):
    stock_the_shop()
    for kind in ("saved", "async-saved"):
        names = [f"{mood}{n}of{kind}" for n in range(5) for mood in ("good", "bad")]
        statuses = asyncio.run(ask_all(site, [f"/{kind}/{name}/" for name in names]))
        assert statuses == [200, 500] * 5, statuses
        entries = SearchEntry.objects.filter(title__contains=f"of{kind} ")
        found = sorted(entry.title.partition(" ")[0] for entry in entries)
        assert found == [name for name in names if "good" in name], found
    stock_the_shop()


async def ask_all(site, urls):
    async with httpx.AsyncClient(base_url=site.origin, timeout=20) as client:
        responses = await asyncio.gather(*map(client.get, urls))
    return [response.status_code for response in responses]


def step_sequences(site):
    assert [site.ok("/number/").text for _ in range(3)] == ["1", "2", "3"]


def step_queries_disabled(site):
    found = site.ok("/without-queries/").json()
    assert found == ["Pastel Blues", "Wild", "Silk", "refused", 3]


def step_fields_and_widgets(site):
    data = {"title": "Box", "shelves": ["a", "c"], "labels": '["x"]'}
    response = site.post("/stock/", data=data)
    assert response.status_code == 200, response.text[:500]
    assert response.json()["shelves"] == ["a", "c"]
    assert response.json()["tags"] == ["x"]
    site.ok("/note/", "summernote")


def step_conflicting_versions(site):
    site.ok("/async-conflict/", "conflict")


def step_upload_of_an_editor(site):
    site.login()
    files = {"files": ("dot.gif", GIF, "image/gif")}
    response = site.post("/summernote/upload_attachment/", files=files)
    assert response.status_code == 200, response.text[:300]
    assert Attachment.objects.count() == 1


GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00"
    b"\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x01D\x00;"
)


def step_nested_serializers(site):
    stock_the_shop()
    artist = Artist.objects.get()
    first, second, _ = artist.albums.all()
    data = {
        "name": artist.name,
        "albums": [{"pk": first.pk, "title": "First", "year": 1}, {"title": "New"}],
    }
    response = site.post("/nested/", json=data)
    assert response.status_code == 200, response.text[:500]
    assert [album.title for album in artist.albums.all()] == ["First", "New"]


def step_task(site):
    site.ok("/queued/", "Queued")
    assert Album.objects.filter(title="Queued").exists()
