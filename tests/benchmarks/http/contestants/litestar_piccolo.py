"""Litestar with Piccolo, which uses asyncpg."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="call-arg, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="untyped-decorator"

from typing import Any

from litestar import Litestar, MediaType, get
from litestar.contrib.jinja import JinjaTemplateEngine
from litestar.response import Template
from litestar.template.config import TemplateConfig
from piccolo.columns import ForeignKey, Integer, Serial, Varchar
from piccolo.engine.postgres import PostgresEngine
from piccolo.table import Table

from tests.benchmarks.http.contestants import config

DB = PostgresEngine(
    {
        "host": config.HOST,
        "port": config.PORT,
        "user": config.USER,
        "password": config.PASSWORD,
        "database": config.DATABASE,
    }
)


class Artist(Table, db=DB, tablename="artist"):
    id = Serial(primary_key=True)
    name = Varchar(length=100)


class Album(Table, db=DB, tablename="album"):
    id = Serial(primary_key=True)
    title = Varchar(length=200)
    year = Integer()
    artist = ForeignKey(Artist, db_column_name="artist_id")


async def open_pool() -> None:
    await DB.start_connection_pool(min_size=config.POOL_SIZE, max_size=config.POOL_SIZE)


async def close_pool() -> None:
    await DB.close_connection_pool()


def as_dict(album: Album) -> dict[str, Any]:
    return {"id": album.id, "title": album.title, "year": album.year}


def with_artist(album: Album) -> dict[str, Any]:
    return {
        "id": album.id,
        "title": album.title,
        "year": album.year,
        "artist": album.artist.name,
    }


@get("/text", media_type=MediaType.TEXT)
async def text() -> str:
    return "Hello, World!"


@get("/json")
async def json() -> dict[str, str]:
    return {"message": "Hello, World!"}


@get("/one/{pk:int}")
async def one(pk: int) -> dict[str, Any]:
    return as_dict(await Album.objects().get(Album.id == pk))


@get("/twenty/{pk:int}")
async def twenty(pk: int) -> list[dict[str, Any]]:
    albums = [await Album.objects().get(Album.id == key) for key in range(pk, pk + 20)]
    return [as_dict(album) for album in albums]


@get("/list")
async def joined() -> list[dict[str, Any]]:
    albums = await Album.objects(Album.artist).order_by(Album.id).limit(100)
    return [with_artist(album) for album in albums]


@get("/page")
async def page() -> Template:
    albums = await Album.objects(Album.artist).order_by(Album.id).limit(100)
    return Template("albums.html", context={"albums": albums})


app = Litestar(
    [text, json, one, twenty, joined, page],
    on_startup=[open_pool],
    on_shutdown=[close_pool],
    template_config=TemplateConfig(
        directory=config.TEMPLATES, engine=JinjaTemplateEngine
    ),
)
