"""Starlette with Tortoise ORM on asyncpg."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates
from tortoise import fields
from tortoise.contrib.starlette import register_tortoise
from tortoise.models import Model

from tests.benchmarks.http.contestants import config


class Artist(Model):
    id = fields.BigIntField(primary_key=True)
    name = fields.CharField(max_length=100)

    class Meta:
        table = "artist"


class Album(Model):
    id = fields.BigIntField(primary_key=True)
    title = fields.CharField(max_length=200)
    year = fields.IntField()
    artist: Any = fields.ForeignKeyField("models.Artist")

    class Meta:
        table = "album"


templates = Jinja2Templates(config.TEMPLATES)


async def text(request: Request) -> Response:
    return PlainTextResponse("Hello, World!")


async def json(request: Request) -> Response:
    return JSONResponse({"message": "Hello, World!"})


def as_dict(album: Album) -> dict[str, Any]:
    return {"id": album.id, "title": album.title, "year": album.year}


def with_artist(album: Album) -> dict[str, Any]:
    return {
        "id": album.id,
        "title": album.title,
        "year": album.year,
        "artist": album.artist.name,
    }


async def one(request: Request) -> Response:
    return JSONResponse(as_dict(await Album.get(id=request.path_params["pk"])))


async def twenty(request: Request) -> Response:
    pk = request.path_params["pk"]
    albums = [await Album.get(id=key) for key in range(pk, pk + 20)]
    return JSONResponse([as_dict(album) for album in albums])


async def joined(request: Request) -> Response:
    albums = await Album.all().select_related("artist").order_by("id").limit(100)
    return JSONResponse([with_artist(album) for album in albums])


async def page(request: Request) -> Response:
    albums = await Album.all().select_related("artist").order_by("id").limit(100)
    return templates.TemplateResponse(request, "albums.html", {"albums": albums})


app = Starlette(
    routes=[
        Route("/text", text),
        Route("/json", json),
        Route("/one/{pk:int}", one),
        Route("/twenty/{pk:int}", twenty),
        Route("/list", joined),
        Route("/page", page),
    ]
)
register_tortoise(
    app,
    config={
        "connections": {
            "default": {
                "engine": "tortoise.backends.asyncpg",
                "credentials": {
                    "host": config.HOST,
                    "port": config.PORT,
                    "user": config.USER,
                    "password": config.PASSWORD,
                    "database": config.DATABASE,
                    "minsize": config.POOL_SIZE,
                    "maxsize": config.POOL_SIZE,
                },
            }
        },
        "apps": {"models": {"models": [__name__]}},
    },
)
