from adminsortable2.admin import SortableAdminMixin
from asgiref.sync import sync_to_async
from captcha.fields import CaptchaField
from captcha.models import CaptchaStore
from dal import autocomplete
from django import forms
from django.contrib import admin
from django.http import HttpResponse, JsonResponse
from django.template import engines
from django.urls import include, path, reverse
from django_comments.forms import CommentForm
from django_comments.models import Comment
from django_eventstream import send_event
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice
from django_select2.forms import ModelSelect2Widget
from django_select2.views import AutoResponseView
from easyaudit.models import CRUDEvent, RequestEvent
from invitations.models import Invitation
from nested_admin import NestedModelAdmin, NestedStackedInline
from request.models import Request
from two_factor.urls import urlpatterns as two_factor_urls

from tests.compatibility.packages.everyday_web.models import Take, Track
from tests.compatibility.shop.models import Album, Artist, stock_the_shop

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Mobile/15E148"


class TakeInline(NestedStackedInline):
    model = Take
    extra = 0


class TrackInline(NestedStackedInline):
    model = Track
    extra = 0
    inlines = [TakeInline]


@admin.register(Album)
class AlbumAdmin(NestedModelAdmin):
    inlines = [TrackInline]


@admin.register(Track)
class TrackAdmin(SortableAdminMixin, admin.ModelAdmin):
    list_display = ["title", "position"]


def plain(request):
    return HttpResponse(f"<body>{Album.objects.count()}</body>")


async def asynchronous(request):
    return HttpResponse(f"<body>{await Album.objects.acount()}</body>")


def rename(request):
    album = Album.objects.get(title=request.POST["old"])
    album.title = request.POST["new"]
    album.save()
    return HttpResponse("renamed")


async def async_rename(request):
    album = await Album.objects.aget(title=request.POST["old"])
    album.title = request.POST["new"]
    await album.asave()
    return HttpResponse("renamed")


def agent(request):
    return JsonResponse({"mobile": request.user_agent.is_mobile})


async def async_agent(request):
    return JsonResponse({"mobile": request.user_agent.is_mobile})


class CaptchaForm(forms.Form):
    captcha = CaptchaField()


def captcha(request):
    form = CaptchaForm(request.POST or None)
    if form.is_bound and form.is_valid():
        return HttpResponse("a person")
    return HttpResponse(str(form), status=400 if form.is_bound else 200)


def validated(data):
    form = CaptchaForm(data)
    return form.is_valid()


async def async_captcha(request):
    valid = await sync_to_async(validated)(request.POST)
    return HttpResponse("a person" if valid else "a robot")


def cotton(request):
    page = engines["django"].get_template("shelves.html")
    return HttpResponse(page.render({"albums": Album.objects.all()}, request))


def comments(request):
    album = Album.objects.get(title="Silk")
    page = engines["django"].from_string(
        "{% load comments %}{% get_comment_count for album as n %}{{ n }}:"
        "{% get_comment_list for album as list %}"
        "{% for one in list %}{{ one.comment }} by {{ one.name }}{% endfor %}"
    )
    return HttpResponse(page.render({"album": album}, request))


class ArtistWidget(ModelSelect2Widget):
    search_fields = ["name__icontains"]


class AlbumForm(forms.ModelForm):
    class Meta:
        model = Album
        fields = ["title", "artist"]
        widgets = {"artist": ArtistWidget(data_view="select2")}


def select2_form(request):
    return HttpResponse(str(AlbumForm(instance=Album.objects.get(title="Silk"))))


class Complete(autocomplete.Select2QuerySetView):
    def get_queryset(self):
        return Artist.objects.filter(name__istartswith=self.q)


def announce(request):
    send_event("albums", "message", {"albums": Album.objects.count()})
    return HttpResponse("sent")


urlpatterns = [
    path("plain/", plain),
    path("async/", asynchronous),
    path("rename/", rename),
    path("async-rename/", async_rename),
    path("agent/", agent),
    path("async-agent/", async_agent),
    path("captcha-form/", captcha),
    path("async-captcha/", async_captcha),
    path("captcha/", include("captcha.urls")),
    path("cotton/", cotton),
    path("album-comments/", comments),
    path("comments/", include("django_comments.urls")),
    path("select2-form/", select2_form),
    path("select2/", AutoResponseView.as_view(), name="select2"),
    path("complete/", Complete.as_view(), name="complete"),
    path("invitations/", include("invitations.urls", namespace="invitations")),
    path("", include(two_factor_urls)),
    path("announce/", announce),
    path("events/", include("django_eventstream.urls"), {"channels": ["albums"]}),
    path("__reload__/", include("django_browser_reload.urls")),
    path("admin/", admin.site.urls),
]


def step_permissions_policy(site):
    stock_the_shop()
    for url in ("/plain/", "/async/"):
        assert site.ok(url, "3").headers["Permissions-Policy"] == "camera=()"


def step_browser_reload(site):
    for url in ("/plain/", "/async/"):
        assert "reload-listener.js" in site.ok(url).text
    with site.stream("GET", "/__reload__/events/") as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        assert "ping" in next(response.iter_text())


def step_user_agents(site):
    for url in ("/agent/", "/async-agent/"):
        assert site.ok(url, headers={"User-Agent": PHONE}).json() == {"mobile": True}
        assert site.ok(url, headers={"User-Agent": "curl"}).json() == {"mobile": False}


def step_easy_audit_knows_the_user(site):
    user = site.login()
    for url, old, new in (
        ("/rename/", "Wild", "Wilder"),
        ("/async-rename/", "Wilder", "Wildest"),
    ):
        CRUDEvent.objects.all().delete()
        response = site.post(url, data={"old": old, "new": new})
        assert response.text == "renamed", response.text[:500]
        event = CRUDEvent.objects.get(event_type=CRUDEvent.UPDATE)
        assert event.user == user, (url, event.user)
        assert new in event.changed_fields, event.changed_fields
    site.logout()


def step_easy_audit_of_requests(site):
    RequestEvent.objects.all().delete()
    site.ok("/plain/")
    site.ok("/async/")
    assert sorted(RequestEvent.objects.values_list("url", flat=True)) == [
        "/async/",
        "/plain/",
    ]


def step_request(site):
    user = site.login()
    Request.objects.all().delete()
    site.ok("/plain/?a=1")
    site.ok("/async/")
    found = [(one.path, one.user) for one in Request.objects.order_by("pk")]
    assert found == [("/plain/", user), ("/async/", user)], found
    site.logout()


def step_simple_captcha(site):
    page = site.ok("/captcha-form/").text
    assert "captcha/image" in page
    key = CaptchaStore.objects.latest("pk").hashkey
    image = site.ok(f"/captcha/image/{key}/")
    assert image.headers["Content-Type"] == "image/png"
    for url in ("/captcha-form/", "/async-captcha/"):
        data = {"captcha_0": key, "captcha_1": "PASSED"}
        response = site.post(url, data=data)
        assert response.text == "a person", response.text[:300]
    data = {"captcha_0": key, "captcha_1": "wrong"}
    assert site.post("/captcha-form/", data=data).status_code == 400


def step_cotton(site):
    site.ok("/cotton/", '<b class="shelf">Pastel Blues by Nina Simone</b>')


def step_comments(site):
    album = Album.objects.get(title="Silk")
    form = CommentForm(album)
    data = {
        **form.generate_security_data(),
        "name": "Etta",
        "email": "etta@example.org",
        "comment": "Lovely.",
        "next": "/plain/",
    }
    response = site.post("/comments/post/", data=data)
    assert response.status_code == 302, response.text[:500]
    assert Comment.objects.get().content_object == album
    site.ok("/album-comments/", "1:Lovely. by Etta")


def step_select2(site):
    page = site.ok("/select2-form/").text
    field = page.split('data-field_id="')[1].split('"')[0]
    found = site.ok("/select2/", params={"field_id": field, "term": "nina"}).json()
    assert [one["text"] for one in found["results"]] == ["Nina Simone"]


def step_autocomplete_light(site):
    found = site.ok("/complete/", params={"q": "nin"}).json()
    assert [one["text"] for one in found["results"]] == ["Nina Simone"]


def step_invitations(site):
    site.login()
    data = {"email": "new@example.org"}
    response = site.post("/invitations/send-invite/", data=data)
    assert response.status_code == 200, response.text[:500]
    invitation = Invitation.objects.get()
    assert invitation.inviter.username == "nina"
    site.logout()
    url = reverse("invitations:accept-invite", args=[invitation.key])
    assert site.post(url).status_code == 302
    invitation.refresh_from_db()
    assert invitation.accepted


def step_two_factor(site):
    user = site.login()
    site.logout()
    TOTPDevice.objects.filter(user=user).delete()
    device = TOTPDevice.objects.create(user=user, name="default", confirmed=True)
    prefix = "login_view-current_step"
    data = {prefix: "auth", "auth-username": "nina", "auth-password": "a password"}
    page = site.post("/account/login/", data=data)
    assert "token" in page.text, page.text[:1000]
    data = {prefix: "token", "token-otp_token": f"{totp(device.bin_key):06}"}
    response = site.post("/account/login/", data=data)
    assert response.status_code == 302, response.text[:1500]
    assert response.headers["Location"] == "/plain/"
    device.delete()
    site.logout()


def step_nested_admin(site):
    site.login()
    album = Album.objects.get(title="Silk")
    url = f"/admin/shop/album/{album.pk}/change/"
    site.ok(url, "nested")
    data = {
        "title": "Silk", "year": "1967", "artist": album.artist_id,
        "track_set-TOTAL_FORMS": "1", "track_set-INITIAL_FORMS": "0",
        "track_set-0-id": "", "track_set-0-album": album.pk,
        "track_set-0-title": "First", "track_set-0-position": "1",
        "track_set-0-take_set-TOTAL_FORMS": "1",
        "track_set-0-take_set-INITIAL_FORMS": "0",
        "track_set-0-take_set-0-id": "", "track_set-0-take_set-0-track": "",
        "track_set-0-take_set-0-number": "7",
    }  # fmt: skip
    response = site.post(url, data=data)
    assert response.status_code == 302, response.text[:3000]
    assert Take.objects.get().track.title == "First"
    site.logout()


def step_admin_sortable(site):
    site.login()
    album = Album.objects.get(title="Silk")
    Track.objects.all().delete()
    one, two = (
        Track.objects.create(album=album, title=title, position=position)
        for position, title in enumerate(("one", "two"), 1)
    )
    site.ok("/admin/site/track/", "sortable")
    url = "/admin/site/track/adminsortable2_update/"
    body = {"updatedItems": [[str(one.pk), 2], [str(two.pk), 1]]}
    response = site.post(url, json=body)
    assert response.status_code == 200, response.text[:500]
    assert list(Track.objects.values_list("title", flat=True)) == ["two", "one"]
    site.logout()


def step_eventstream(site):
    with site.stream("GET", "/events/") as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        pieces = response.iter_text()
        text = next(pieces)
        site.ok("/announce/", "sent")
        while '"albums": 3' not in text:
            text += next(pieces)
