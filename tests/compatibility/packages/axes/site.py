from axes.models import AccessAttempt, AccessLog
from axes.utils import reset
from django.contrib.auth import aauthenticate, alogin
from django.contrib.auth.views import LoginView
from django.http import HttpResponse
from django.urls import path


async def asynchronous(request):
    user = await aauthenticate(
        request, username="nina", password=request.GET["password"]
    )
    if user is None:
        return HttpResponse("no", status=401)
    await alogin(request, user)
    return HttpResponse("yes")


urlpatterns = [
    path("login/", LoginView.as_view(next_page="/login/")),
    path("async/", asynchronous),
]


def attempt(site, password):
    return site.post("/login/", data={"username": "nina", "password": password})


def step_login(site):
    site.login()
    site.logout()
    site.ok("/login/", "password")
    assert attempt(site, "a password").status_code == 302
    assert AccessLog.objects.filter(username="nina").exists()


def step_lockout(site):
    reset()
    site.logout()
    statuses = [attempt(site, "wrong").status_code for _ in range(3)]
    assert statuses == [200, 200, 429], statuses
    assert attempt(site, "a password").status_code == 429
    assert AccessAttempt.objects.get().failures_since_start >= 3


def step_lockout_of_an_async_view(site):
    reset()
    statuses = [site.get("/async/?password=wrong").status_code for _ in range(3)]
    assert statuses[:2] == [401, 401], statuses
    assert site.get("/async/?password=a password").status_code in (401, 429)
    reset()
    assert site.get("/async/?password=a password").status_code == 200
