from django.http import HttpResponse
from django.urls import path
from django_htmx.http import HttpResponseClientRedirect, trigger_client_event


def plain(request):
    response = HttpResponse(f"{bool(request.htmx)} {request.htmx.target}")
    return trigger_client_event(response, "saved", {})


async def asynchronous(request):
    return HttpResponse(f"{bool(request.htmx)} {request.htmx.target}")


async def elsewhere(request):
    return HttpResponseClientRedirect("/plain/")


urlpatterns = [
    path("plain/", plain),
    path("async/", asynchronous),
    path("elsewhere/", elsewhere),
]
HTMX = {"HX-Request": "true", "HX-Target": "list"}


def step_plain_view(site):
    assert site.ok("/plain/").text == "False None"
    response = site.ok("/plain/", headers=HTMX)
    assert response.text == "True list"
    assert "saved" in response.headers["HX-Trigger"]


def step_async_view(site):
    assert site.ok("/async/", headers=HTMX).text == "True list"


def step_redirect(site):
    response = site.ok("/elsewhere/", headers=HTMX)
    assert response.headers["HX-Redirect"] == "/plain/"
