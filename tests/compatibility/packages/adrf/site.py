from adrf import generics, serializers, viewsets
from adrf.decorators import api_view
from adrf.routers import DefaultRouter
from adrf.views import APIView
from django.urls import include, path
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response

from tests.compatibility.shop.models import Album, Artist, stock_the_shop


class AlbumSerializer(serializers.ModelSerializer):
    class Meta:
        model = Album
        fields = ["id", "title", "year", "artist"]


class Albums(viewsets.ModelViewSet):
    queryset = Album.objects.all()
    serializer_class = AlbumSerializer


class ListAlbums(generics.ListCreateAPIView):
    queryset = Album.objects.all()
    serializer_class = AlbumSerializer


class Who(APIView):
    permission_classes = [IsAuthenticated]

    async def get(self, request):
        return Response({"name": request.user.username})


@api_view(["POST"])
async def echo(request):
    return Response(request.data)


router = DefaultRouter()
router.register("albums", Albums)
urlpatterns = [
    path("api/", include(router.urls)),
    path("list/", ListAlbums.as_view()),
    path("who/", Who.as_view()),
    path("echo/", echo),
]


def step_list(site):
    stock_the_shop()
    for url in ("/api/albums/", "/list/"):
        assert len(site.ok(url).json()) == 3


def step_write(site):
    data = {"title": "New", "year": 1970, "artist": Artist.objects.get().pk}
    for url in ("/api/albums/", "/list/"):
        response = site.post(url, json=data)
        assert response.status_code == 201, response.text
    url = f"/api/albums/{Album.objects.last().pk}/"
    assert site.ok(url).json()["title"] == "New"
    assert site.patch(url, json={"year": 1971}).json()["year"] == 1971
    assert site.delete(url).status_code == 204


def step_permission(site):
    site.logout()
    assert site.get("/who/").status_code == 403
    site.login()
    assert site.ok("/who/").json() == {"name": "nina"}


def step_parsers(site):
    site.logout()
    assert site.post("/echo/", json={"a": 1}).json() == {"a": 1}
    assert site.post("/echo/", data={"a": "1"}).json()["a"] == "1"


def step_invalid(site):
    assert site.post("/list/", json={}).status_code == 400
