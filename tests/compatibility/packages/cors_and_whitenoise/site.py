from django.http import HttpResponse
from django.urls import path


def page(request):
    return HttpResponse("page")


urlpatterns = [path("page/", page)]
ORIGIN = {"Origin": "https://app.example.org"}


def step_allowed_origin(site):
    headers = site.ok("/page/", headers=ORIGIN).headers
    assert headers["Access-Control-Allow-Origin"] == ORIGIN["Origin"]
    assert "Access-Control-Allow-Origin" not in site.ok("/page/").headers


def step_preflight(site):
    asked = {"Access-Control-Request-Method": "POST"}
    response = site.options("/page/", headers={**ORIGIN, **asked})
    assert "POST" in response.headers["Access-Control-Allow-Methods"]


def step_static_file(site):
    response = site.ok("/static/site.css", "body")
    assert response.headers["Content-Type"].startswith("text/css")
    assert site.get("/static/none.css").status_code == 404
