import graphene
from django.urls import path
from graphene_django import DjangoListField, DjangoObjectType
from graphene_django.views import GraphQLView

from tests.compatibility.shop import models


class Artist(DjangoObjectType):
    class Meta:
        model = models.Artist
        fields = ["id", "name", "albums"]


class Album(DjangoObjectType):
    class Meta:
        model = models.Album
        fields = ["id", "title", "year", "artist"]


class Query(graphene.ObjectType):
    albums = DjangoListField(Album)
    album = graphene.Field(Album, pk=graphene.ID())
    artists = graphene.List(Artist)
    who = graphene.String()

    def resolve_album(root, info, pk):
        return models.Album.objects.get(pk=pk)

    def resolve_artists(root, info):
        return models.Artist.objects.prefetch_related("albums")

    def resolve_who(root, info):
        return info.context.user.username


class Create(graphene.Mutation):
    class Arguments:
        title = graphene.String()

    album = graphene.Field(Album)

    def mutate(root, info, title):
        artist = models.Artist.objects.get()
        return Create(album=artist.albums.create(title=title))


class Mutation(graphene.ObjectType):
    create = Create.Field()


schema = graphene.Schema(Query, Mutation)
urlpatterns = [path("graphql/", GraphQLView.as_view(schema=schema, graphiql=True))]


def step_list(site):
    models.stock_the_shop()
    found = site.graphql("{ albums { title artist { name } } }")["albums"]
    assert [album["artist"]["name"] for album in found] == ["Nina Simone"] * 3


def step_nested(site):
    (artist,) = site.graphql("{ artists { albums { title } } }")["artists"]
    assert len(artist["albums"]) == 3


def step_one(site):
    pk = models.Album.objects.get(title="Silk").pk
    query = "query ($pk: ID!) { album(pk: $pk) { title } }"
    assert site.graphql(query, pk=pk)["album"] == {"title": "Silk"}


def step_user(site):
    site.login()
    assert site.graphql("{ who }") == {"who": "nina"}


def step_mutation(site):
    query = 'mutation { create(title: "New") { album { id title } } }'
    assert site.graphql(query)["create"]["album"]["title"] == "New"
    assert models.Album.objects.filter(title="New").exists()


def step_graphiql(site):
    site.ok("/graphql/", "GraphiQL", headers={"Accept": "text/html"})
