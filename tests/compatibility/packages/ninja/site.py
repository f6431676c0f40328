from asgiref.sync import sync_to_async
from django.urls import path
from ninja import File, Form, ModelSchema, NinjaAPI, Schema, UploadedFile
from ninja.pagination import paginate
from ninja.security import HttpBearer, django_auth

from tests.compatibility.shop.models import Album, Artist, stock_the_shop


class Token(HttpBearer):
    def authenticate(self, request, token):
        return token if token == "secret" else None


class AsyncToken(HttpBearer):
    async def authenticate(self, request, token):
        return token if token == "secret" else None


class AlbumOut(ModelSchema):
    class Meta:
        model = Album
        fields = ["id", "title", "year", "artist"]


class AlbumIn(Schema):
    title: str
    year: int = 1965


api = NinjaAPI()


@api.get("albums", response=list[AlbumOut])
def albums(request):
    return Album.objects.all()


@api.get("pages", response=list[AlbumOut])
@paginate
def pages(request):
    return Album.objects.all()


@api.get("async/albums", response=list[AlbumOut])
async def async_albums(request):
    return [album async for album in Album.objects.all()]


@api.get("async/pages", response=list[AlbumOut])
@paginate
async def async_pages(request):
    return Album.objects.all()


@api.get("async/threads")
async def threads(request):
    return await sync_to_async(Album.objects.count)()


@api.post("albums", response={201: AlbumOut})
def create(request, body: AlbumIn):
    artist = Artist.objects.get()
    return 201, artist.albums.create(**body.dict())


@api.post("async/albums", response={201: AlbumOut})
async def async_create(request, body: AlbumIn):
    artist = await Artist.objects.aget()
    return 201, await artist.albums.acreate(**body.dict())


@api.post("form")
def form(request, body: Form[AlbumIn]):
    return body.dict()


@api.post("async/form")
async def async_form(request, body: Form[AlbumIn]):
    return body.dict()


@api.post("file")
def file(request, upload: File[UploadedFile]):
    return [upload.name, len(upload.read())]


@api.post("async/file")
async def async_file(request, upload: File[UploadedFile]):
    return [upload.name, len(upload.read())]


@api.get("session", auth=django_auth)
def session(request):
    return request.auth.username


@api.get("async/session", auth=django_auth)
async def async_session(request):
    return request.auth.username


@api.get("token", auth=Token())
def token(request):
    return request.auth


@api.get("async/token", auth=AsyncToken())
async def async_token(request):
    return request.auth


@api.get("broken")
def broken(request):
    return Album.objects.get(pk=0)


@api.exception_handler(Album.DoesNotExist)
def missing(request, error):
    return api.create_response(request, {"detail": "missing"}, status=404)


urlpatterns = [path("api/", api.urls)]


def step_list(site):
    stock_the_shop()
    for url in ("/api/albums", "/api/async/albums"):
        assert len(site.ok(url).json()) == 3


def step_pages(site):
    for url in ("/api/pages", "/api/async/pages"):
        found = site.ok(f"{url}?limit=2").json()
        assert (len(found["items"]), found["count"]) == (2, 3)


def step_sync_to_async(site):
    assert site.ok("/api/async/threads").json() == 3


def step_json_body(site):
    for url in ("/api/albums", "/api/async/albums"):
        response = site.post(url, json={"title": "New", "year": 1970})
        assert response.status_code == 201, response.text
        assert Album.objects.get(pk=response.json()["id"]).year == 1970


def step_invalid_body(site):
    for url in ("/api/albums", "/api/async/albums"):
        assert site.post(url, json={"year": "x"}).status_code == 422
        assert site.post(url, content=b"{").status_code == 400


def step_form(site):
    for url in ("/api/form", "/api/async/form"):
        response = site.post(url, data={"title": "New"})
        assert response.json() == {"title": "New", "year": 1965}


def step_file(site):
    for url in ("/api/file", "/api/async/file"):
        response = site.post(url, files={"upload": ("a.txt", b"12345")})
        assert response.json() == ["a.txt", 5]


def step_session_auth(site):
    for url in ("/api/session", "/api/async/session"):
        site.logout()
        assert site.get(url).status_code == 401
        site.login()
        assert site.ok(url).json() == "nina"


def step_token_auth(site):
    for url in ("/api/token", "/api/async/token"):
        assert site.get(url).status_code == 401
        headers = {"Authorization": "Bearer secret"}
        assert site.ok(url, headers=headers).json() == "secret"


def step_exception_handler(site):
    assert site.get("/api/broken").status_code == 404


def step_openapi(site):
    assert "/api/albums" in site.ok("/api/openapi.json").json()["paths"]
    site.ok("/api/docs", "swagger")
