import strawberry
import strawberry_django
from django.urls import path
from strawberry.django.views import AsyncGraphQLView, GraphQLView
from strawberry_django.optimizer import DjangoOptimizerExtension

from tests.compatibility.shop import models


@strawberry_django.filter_type(models.Album, lookups=True)
class AlbumFilter:
    year: strawberry.auto


@strawberry_django.type(models.Artist)
class Artist:
    id: strawberry.auto
    name: strawberry.auto
    albums: list["Album"]


@strawberry_django.type(models.Album, filters=AlbumFilter, pagination=True)
class Album:
    id: strawberry.auto
    title: strawberry.auto
    year: strawberry.auto
    artist: Artist


@strawberry_django.input(models.Album)
class AlbumInput:
    title: strawberry.auto
    year: strawberry.auto
    artist: strawberry.auto


@strawberry.type
class Query:
    albums: list[Album] = strawberry_django.field()
    artists: list[Artist] = strawberry_django.field()
    album: Album = strawberry_django.field()

    @strawberry_django.field
    def count(self) -> int:
        return models.Album.objects.count()

    @strawberry.field
    async def async_count(self) -> int:
        return await models.Album.objects.acount()

    @strawberry.field
    def who(self, info: strawberry.Info) -> str:
        return info.context.request.user.username


@strawberry.type
class Mutation:
    create: Album = strawberry_django.mutations.create(AlbumInput)


schema = strawberry.Schema(Query, Mutation)
optimized = strawberry.Schema(Query, Mutation, extensions=[DjangoOptimizerExtension])
urlpatterns = [
    path("graphql/", AsyncGraphQLView.as_view(schema=schema)),
    path("optimized/", AsyncGraphQLView.as_view(schema=optimized)),
    path("sync/", GraphQLView.as_view(schema=optimized)),
]


def step_async_list(site):
    stock = models.stock_the_shop()
    found = site.graphql("{ albums { title artist { name } } }")["albums"]
    assert [album["artist"]["name"] for album in found] == [stock.name] * 3


def step_async_nested(site):
    (artist,) = site.graphql("{ artists { albums { title } } }")["artists"]
    assert len(artist["albums"]) == 3


def step_async_resolvers(site):
    assert site.graphql("{ count asyncCount }") == {"count": 3, "asyncCount": 3}


def step_async_filter(site):
    query = "{ albums(filters: {year: {exact: 1966}}) { title } }"
    assert site.graphql(query)["albums"] == [{"title": "Wild"}]
    query = "{ albums(pagination: {limit: 1, offset: 1}) { title } }"
    assert site.graphql(query)["albums"] == [{"title": "Wild"}]


def step_async_one(site):
    pk = models.Album.objects.get(title="Silk").pk
    query = "query ($pk: ID!) { album(pk: $pk) { title artist { name } } }"
    assert site.graphql(query, pk=pk)["album"]["title"] == "Silk"


def step_async_mutation(site):
    artist = models.Artist.objects.get().pk
    query = """mutation ($artist: ID!) {
        create(data: {title: "New", year: 1970, artist: {set: $artist}}) { id title }
    }"""
    assert site.graphql(query, artist=artist)["create"]["title"] == "New"
    assert models.Album.objects.filter(title="New", year=1970).exists()


def step_async_optimizer(site):
    query = {"query": "{ artists { albums { title artist { name } } } }"}
    found = site.post("/optimized/", json=query).json()
    assert len(found["data"]["artists"][0]["albums"]) == 4, found


def step_sync_view(site):
    query = {"query": "{ albums { title artist { name } } count }"}
    found = site.post("/sync/", json=query).json()
    assert found["data"]["count"] == 4, found
    site.login()
    found = site.post("/sync/", json={"query": "{ who }"}).json()
    assert found["data"] == {"who": "nina"}, found


def step_graphiql(site):
    site.ok("/sync/", "graphiql", headers={"Accept": "text/html"})
    site.ok("/graphql/", "graphiql", headers={"Accept": "text/html"})
