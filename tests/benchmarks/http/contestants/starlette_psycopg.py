"""Starlette with psycopg 3, without an ORM; orjson writes the JSON."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import orjson
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from tests.benchmarks.http.contestants import config

ONE = "SELECT id, title, year FROM album WHERE id = %s"
JOINED = (
    "SELECT album.id, title, year, artist.name AS artist"
    " FROM album JOIN artist ON artist.id = album.artist_id"
    " ORDER BY album.id LIMIT 100"
)

pool = AsyncConnectionPool(
    # The address is in libpq's variables.
    "",
    min_size=config.POOL_SIZE,
    max_size=config.POOL_SIZE,
    kwargs={"autocommit": True},
    open=False,
)
templates = Jinja2Templates(config.TEMPLATES)


class ORJSONResponse(JSONResponse):
    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


class Artist(NamedTuple):
    name: str


class Album(NamedTuple):
    id: int
    title: str
    year: int
    artist: Artist


def album_row(cursor: Any) -> Any:
    """A row factory."""
    return lambda row: Album(row[0], row[1], row[2], Artist(row[3]))


async def fetch_all(sql: Any, make_row: Any, *params: Any) -> list[Any]:
    async with (
        pool.connection() as connection,
        connection.cursor(row_factory=make_row) as cursor,
    ):
        await cursor.execute(sql, params)
        return await cursor.fetchall()


async def text(request: Request) -> Response:
    return PlainTextResponse("Hello, World!")


async def json(request: Request) -> Response:
    return ORJSONResponse({"message": "Hello, World!"})


async def one(request: Request) -> Response:
    (album,) = await fetch_all(ONE, dict_row, request.path_params["pk"])
    return ORJSONResponse(album)


async def twenty(request: Request) -> Response:
    pk = request.path_params["pk"]
    albums = []
    # All on one connection, which is fastest.
    async with (
        pool.connection() as connection,
        connection.cursor(row_factory=dict_row) as cursor,
    ):
        for key in range(pk, pk + 20):
            await cursor.execute(ONE, (key,))
            albums.append(await cursor.fetchone())
    return ORJSONResponse(albums)


async def joined(request: Request) -> Response:
    return ORJSONResponse(await fetch_all(JOINED, dict_row))


async def page(request: Request) -> Response:
    albums = await fetch_all(JOINED, album_row)
    return templates.TemplateResponse(request, "albums.html", {"albums": albums})


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with pool:
        yield


app = Starlette(
    routes=[
        Route("/text", text),
        Route("/json", json),
        Route("/one/{pk:int}", one),
        Route("/twenty/{pk:int}", twenty),
        Route("/list", joined),
        Route("/page", page),
    ],
    lifespan=lifespan,
)
