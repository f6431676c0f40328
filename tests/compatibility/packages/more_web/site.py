from urllib.parse import parse_qs, urlsplit

import structlog
from anymail.signals import tracking
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.http import HttpResponse, JsonResponse
from django.template import engines
from django.urls import include, path
from django_components import Component, register
from health_check.views import HealthCheckView
from knox.auth import TokenAuthentication
from knox.models import AuthToken
from maintenance_mode.core import set_maintenance_mode
from rest_framework import permissions, serializers, viewsets
from rest_framework.decorators import (
    api_view,
    authentication_classes,
    permission_classes,
)
from rest_framework.response import Response
from rest_framework.routers import DefaultRouter
from rest_framework_nested.routers import NestedSimpleRouter

from tests.compatibility.shop.models import Album, Artist, stock_the_shop


def plain(request):
    return HttpResponse(Album.objects.count())


async def asynchronous(request):
    return HttpResponse(await Album.objects.acount())


def who(request):
    return JsonResponse({"user": request.user.username, "real": str(request.real_user)})


def bound(request):
    return JsonResponse(structlog.contextvars.get_contextvars())


async def async_bound(request):
    return JsonResponse(structlog.contextvars.get_contextvars())


@register("shelf")
class Shelf(Component):
    template = "{% for album in albums %}<b>{{ album }}</b>{% endfor %}"

    def get_template_data(self, args, kwargs, slots, context):
        return {"albums": Album.objects.all()}


PAGE = """{% load component_tags partials %}
{% partialdef note inline %}<i>{{ albums.count }}</i>{% endpartialdef %}
{% component "shelf" / %}{% partial note %}"""


def components(request):
    page = engines["django"].from_string(PAGE)
    return HttpResponse(page.render({"albums": Album.objects.all()}, request))


@api_view(["GET"])
@authentication_classes([TokenAuthentication])
@permission_classes([permissions.IsAuthenticated])
def knox_user(request):
    return Response(request.user.username)


class AlbumSerializer(serializers.ModelSerializer):
    class Meta:
        model = Album
        fields = ["title", "year"]


class ArtistViews(viewsets.ReadOnlyModelViewSet):
    queryset = Artist.objects.all()

    class serializer_class(serializers.ModelSerializer):
        class Meta:
            model = Artist
            fields = ["name"]


class AlbumViews(viewsets.ModelViewSet):
    serializer_class = AlbumSerializer

    def get_queryset(self):
        return Album.objects.filter(artist=self.kwargs["artist_pk"])

    def perform_create(self, serializer):
        serializer.save(artist_id=self.kwargs["artist_pk"])


router = DefaultRouter()
router.register("artists", ArtistViews)
nested = NestedSimpleRouter(router, "artists", lookup="artist")
nested.register("albums", AlbumViews, basename="artist-albums")
urlpatterns = [
    path("plain/", plain),
    path("async/", asynchronous),
    path("who/", who),
    path("bound/", bound),
    path("async-bound/", async_bound),
    path("components/", components),
    path("knox-user/", knox_user),
    path("health/", HealthCheckView.as_view(checks=["health_check.Database"])),
    path("impersonate/", include("impersonate.urls")),
    path("social/", include("social_django.urls", namespace="social")),
    path("anymail/", include("anymail.urls")),
    path("auth/", include("dj_rest_auth.urls")),
    path("api/", include(router.urls)),
    path("api/", include(nested.urls)),
    path("admin/", admin.site.urls),
]


def step_csp(site):
    stock_the_shop()
    for url in ("/plain/", "/async/"):
        policy = site.ok(url, "3").headers["Content-Security-Policy"]
        assert policy == "default-src 'self'", policy


def step_maintenance_mode(site):
    set_maintenance_mode(True)
    try:
        assert site.get("/plain/").status_code == 503
        assert site.get("/async/").status_code == 503
    finally:
        set_maintenance_mode(False)
    site.ok("/async/", "3")


def step_impersonate(site):
    nina = site.login()
    etta, _ = get_user_model().objects.get_or_create(username="etta")
    assert site.get(f"/impersonate/{etta.pk}/").status_code == 302
    assert site.ok("/who/").json() == {"user": "etta", "real": "nina"}
    assert site.get("/impersonate/stop/").status_code == 302
    assert site.ok("/who/").json()["user"] == nina.username
    site.logout()


def step_structlog(site):
    user = site.login()
    for url in ("/bound/", "/async-bound/"):
        found = site.ok(url).json()
        assert len(found["request_id"]) == 36, found
    assert site.ok("/bound/").json()["user_id"] == user.pk
    site.logout()


def step_components_and_partials(site):
    page = site.ok("/components/", "Pastel Blues by Nina Simone").text
    assert page.count("<i>3</i>") == 2


def step_health_check(site):
    site.ok("/health/?format=json", "Database")


def step_social_auth(site):
    response = site.post("/social/login/github/")
    assert response.status_code == 302, response.text[:500]
    query = parse_qs(urlsplit(response.headers["Location"]).query)
    assert query["client_id"] == ["a key"]
    assert query["state"]


def step_anymail_webhook(site):
    events = []

    def note(sender, event, **kwargs):
        events.append((event.event_type, Album.objects.count()))

    tracking.connect(note)
    try:
        event = {"RecordType": "Open", "MessageID": "1", "Recipient": "a@example.org"}
        response = site.post("/anymail/postmark/tracking/", json=event)
    finally:
        tracking.disconnect(note)
    assert response.status_code == 200, response.text[:500]
    assert events == [("opened", 3)]


def step_knox(site):
    user = site.login()
    site.logout()
    _, token = AuthToken.objects.create(user)
    assert site.get("/knox-user/").status_code == 401
    headers = {"Authorization": f"Token {token}"}
    assert site.ok("/knox-user/", headers=headers).json() == "nina"


def step_rest_auth(site):
    site.login()
    site.logout()
    data = {"username": "nina", "password": "a password"}
    key = site.post("/auth/login/", json=data).json()["key"]
    headers = {"Authorization": f"Token {key}"}
    assert site.ok("/auth/user/", headers=headers).json()["username"] == "nina"
    assert site.post("/auth/logout/", headers=headers).status_code == 200


def step_nested_routers(site):
    pk = Artist.objects.get().pk
    site.login()
    found = site.ok(f"/api/artists/{pk}/albums/").json()
    assert [album["title"] for album in found] == ["Pastel Blues", "Wild", "Silk"]
    data = {"title": "New", "year": 1970}
    assert site.post(f"/api/artists/{pk}/albums/", json=data).status_code == 201
    assert Album.objects.filter(title="New", artist=pk).exists()


def step_admin_interface(site):
    site.login()
    site.ok("/admin/", "admin-interface")
    site.ok("/admin/admin_interface/theme/", "Django")
