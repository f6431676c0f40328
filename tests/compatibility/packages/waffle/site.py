import waffle
from asgiref.sync import sync_to_async
from django.http import HttpResponse
from django.urls import path
from waffle.decorators import waffle_flag
from waffle.models import Flag, Switch


def plain(request):
    flag, switch = waffle.flag_is_active(request, "new"), waffle.switch_is_active("on")
    return HttpResponse(f"{flag} {switch}")


async def asynchronous(request):
    flag = await sync_to_async(waffle.flag_is_active)(request, "new")
    switch = await sync_to_async(waffle.switch_is_active)("on")
    return HttpResponse(f"{flag} {switch}")


@waffle_flag("new")
def guarded(request):
    return HttpResponse("new")


urlpatterns = [
    path("plain/", plain),
    path("async/", asynchronous),
    path("guarded/", guarded),
]


def step_off(site):
    for url in ("/plain/", "/async/"):
        assert site.ok(url).text == "False False"
    assert site.get("/guarded/").status_code == 404


def step_on_for_superusers(site):
    Flag.objects.create(name="new", superusers=True)
    Switch.objects.create(name="on", active=True)
    for url in ("/plain/", "/async/"):
        assert site.ok(url).text == "False True"
    site.login()
    for url in ("/plain/", "/async/"):
        assert site.ok(url).text == "True True"
    assert site.ok("/guarded/").text == "new"


def step_cookie_of_a_test(site):
    flag = Flag.objects.get()
    flag.superusers, flag.percent, flag.rollout = False, 99.9, True
    flag.save()
    site.logout()
    response = site.ok("/plain/")
    assert "dwf_new" in response.headers["Set-Cookie"]
