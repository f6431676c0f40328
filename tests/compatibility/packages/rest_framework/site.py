from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView
from rest_framework import generics, routers, serializers, throttling, viewsets
from rest_framework.authtoken.models import Token
from rest_framework.authtoken.views import obtain_auth_token
from rest_framework.decorators import action, api_view, throttle_classes
from rest_framework.response import Response

from tests.compatibility.shop.models import Album, Artist, stock_the_shop


class AlbumSerializer(serializers.ModelSerializer):
    artist_name = serializers.CharField(source="artist.name", read_only=True)

    class Meta:
        model = Album
        fields = ["id", "title", "year", "artist", "artist_name", "cover"]


class ArtistSerializer(serializers.ModelSerializer):
    albums = AlbumSerializer(many=True, read_only=True)

    class Meta:
        model = Artist
        fields = ["id", "name", "albums"]


class Albums(viewsets.ModelViewSet):
    queryset = Album.objects.all()
    serializer_class = AlbumSerializer
    filterset_fields = ["year", "artist"]
    search_fields = ["title", "artist__name"]
    ordering_fields = ["year"]

    @action(detail=True, methods=["post"])
    def reissue(self, request, pk=None):
        album = self.get_object()
        album.year = request.data["year"]
        album.save()
        return Response({"by": request.user.username, "year": album.year})


class Artists(generics.ListAPIView):
    queryset = Artist.objects.all()
    serializer_class = ArtistSerializer
    pagination_class = None


class Few(throttling.UserRateThrottle):
    scope = "few"


@api_view(["GET"])
@throttle_classes([Few])
def few(request):
    return Response({"method": request.method})


router = routers.DefaultRouter()
router.register("albums", Albums)
urlpatterns = [
    path("api/", include(router.urls)),
    path("artists/", Artists.as_view()),
    path("few/", few),
    path("token/", obtain_auth_token),
    path("auth/", include("rest_framework.urls")),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", SpectacularSwaggerView.as_view(url_name="schema")),
]


def step_list_in_pages(site):
    stock_the_shop()
    found = site.ok("/api/albums/").json()
    assert found["count"] == 3
    assert len(found["results"]) == 2
    assert len(site.ok(found["next"]).json()["results"]) == 1


def step_nested(site):
    (artist,) = site.ok("/artists/").json()
    assert [album["artist_name"] for album in artist["albums"]] == ["Nina Simone"] * 3


def step_filters(site):
    assert site.ok("/api/albums/?year=1966").json()["count"] == 1
    assert site.ok("/api/albums/?search=Silk").json()["count"] == 1
    found = site.ok("/api/albums/?ordering=-year").json()["results"]
    assert found[0]["year"] == 1967


def step_browsable_api(site):
    html = {"Accept": "text/html"}
    site.logout()
    site.ok("/api/albums/", "Pastel Blues", "Log in", headers=html)
    site.login()
    site.ok("/api/albums/", "Pastel Blues", "<form", "nina", headers=html)
    site.ok(f"/api/albums/{Album.objects.first().pk}/", "DELETE", headers=html)


def step_permissions(site):
    site.logout()
    assert site.post("/api/albums/", json={}).status_code == 401


def step_session_writes(site):
    site.login()
    artist = Artist.objects.get()
    data = {"title": "New", "year": 1970, "artist": artist.pk}
    response = site.post("/api/albums/", json=data)
    assert response.status_code == 201, response.text
    url = f"/api/albums/{response.json()['id']}/"
    assert site.patch(url, json={"year": 1971}).json()["year"] == 1971
    assert site.put(url, json={**data, "year": 1972}).json()["year"] == 1972
    assert site.post(f"{url}reissue/", json={"year": 1973}).json() == {
        "by": "nina",
        "year": 1973,
    }
    assert site.delete(url).status_code == 204
    assert site.get(url).status_code == 404


def step_session_csrf(site):
    site.login()
    headers = {"X-CSRFToken": "", "Origin": "http://evil.example"}
    response = site.post("/api/albums/", json={}, headers=headers)
    assert response.status_code == 403, response.status_code


def step_form_and_upload(site):
    site.login()
    data = {"title": "Form", "year": "1970", "artist": str(Artist.objects.get().pk)}
    assert site.post("/api/albums/", data=data).status_code == 201
    files = {"cover": ("cover.png", b"12345")}
    response = site.post("/api/albums/", data=data, files=files)
    assert response.status_code == 201, response.text
    assert Album.objects.get(pk=response.json()["id"]).cover.size == 5


def step_validation(site):
    response = site.post("/api/albums/", json={"title": ""})
    assert response.status_code == 400
    assert set(response.json()) == {"title", "artist"}


def step_token(site):
    user = site.login()
    site.logout()
    login = {"username": "nina", "password": "a password"}
    key = site.post("/token/", json=login).json()["token"]
    assert Token.objects.get(user=user).key == key
    data = {"title": "Token", "artist": Artist.objects.get().pk}
    headers = {"Authorization": f"Token {key}"}
    response = site.post("/api/albums/", json=data, headers=headers)
    assert response.status_code == 201, response.text


def step_login_page(site):
    site.logout()
    site.ok("/auth/login/", "password")
    login = {"username": "nina", "password": "a password", "next": "/api/"}
    response = site.post("/auth/login/", data=login)
    assert response.status_code == 302, response.status_code
    site.ok("/api/", "nina", headers={"Accept": "text/html"})


def step_throttle(site):
    site.login()
    statuses = [site.get("/few/").status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


def step_schema(site):
    site.ok("/schema/", "/api/albums/", "reissue")
    site.ok("/docs/", "swagger")
