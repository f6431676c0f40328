"""FastAPI with SQLAlchemy 2 on asyncpg."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"
# Not all helpers are annotated.
# mypy: disable-error-code="untyped-decorator"

from collections.abc import AsyncIterator, Sequence
from operator import attrgetter
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, PlainTextResponse
from fastapi.templating import Jinja2Templates
from pydantic import BaseModel, BeforeValidator, ConfigDict
from sqlalchemy import URL, ForeignKey, select
from sqlalchemy.ext.asyncio import (
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    joinedload,
    mapped_column,
    relationship,
)

from tests.benchmarks.http.contestants import config

url = URL.create(
    "postgresql+asyncpg",
    username=config.USER,
    password=config.PASSWORD,
    database=config.DATABASE,
    query={"host": config.HOST, "port": str(config.PORT)},
)
engine = create_async_engine(url, pool_size=config.POOL_SIZE, max_overflow=0)
new_session = async_sessionmaker(engine, expire_on_commit=False)


class Base(DeclarativeBase):
    pass


class Artist(Base):
    __tablename__ = "artist"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Album(Base):
    __tablename__ = "album"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    year: Mapped[int]
    artist_id: Mapped[int] = mapped_column(ForeignKey("artist.id"))
    artist: Mapped[Artist] = relationship()


class Message(BaseModel):
    message: str


class AlbumOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: int
    title: str
    year: int


class AlbumWithArtist(AlbumOut):
    artist: Annotated[str, BeforeValidator(attrgetter("name"))]


async def get_session() -> AsyncIterator[AsyncSession]:
    async with new_session() as session:
        yield session


Session = Annotated[AsyncSession, Depends(get_session)]
templates = Jinja2Templates(config.TEMPLATES)
app = FastAPI()


@app.get("/text", response_class=PlainTextResponse)
async def text() -> str:
    return "Hello, World!"


# A declared type is what its documentation advises: Pydantic writes the JSON, in Rust.
@app.get("/json")
async def json() -> Message:
    return Message(message="Hello, World!")


@app.get("/one/{pk}", response_model=AlbumOut)
async def one(pk: int, session: Session) -> Album:
    return await session.get_one(Album, pk)


@app.get("/twenty/{pk}", response_model=list[AlbumOut])
async def twenty(pk: int, session: Session) -> list[Album]:
    return [await session.get_one(Album, key) for key in range(pk, pk + 20)]


FIRST_100 = (
    select(Album).options(joinedload(Album.artist)).order_by(Album.id).limit(100)
)


@app.get("/list", response_model=list[AlbumWithArtist])
async def joined(session: Session) -> Sequence[Album]:
    return (await session.scalars(FIRST_100)).all()


@app.get("/page", response_class=HTMLResponse)
async def page(request: Request, session: Session) -> HTMLResponse:
    albums = (await session.scalars(FIRST_100)).all()
    return templates.TemplateResponse(request, "albums.html", {"albums": albums})
