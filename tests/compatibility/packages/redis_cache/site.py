from django.core.cache import caches
from django.http import HttpResponse
from django.urls import path
from django.views.decorators.cache import cache_page


def plain(request, alias):
    cache = caches[alias]
    cache.set("key", {"a": 1}, 60)
    cache.get_or_set("other", lambda: 2)
    return HttpResponse(f"{cache.get('key')} {cache.incr('other')}")


async def asynchronous(request, alias):
    cache = caches[alias]
    await cache.aset("key", {"a": 1}, 60)
    await cache.adelete("other")
    await cache.aget_or_set("other", lambda: 2)
    return HttpResponse(f"{await cache.aget('key')} {await cache.aincr('other')}")


calls = []


@cache_page(60)
def page(request):
    calls.append(1)
    return HttpResponse(len(calls))


def session(request):
    request.session["n"] = request.session.get("n", 0) + 1
    return HttpResponse(request.session["n"])


urlpatterns = [
    path("plain/<alias>/", plain),
    path("async/<alias>/", asynchronous),
    path("page/", page),
    path("session/", session),
]
EXPECTED = "{'a': 1} 3"


def check(site, alias):
    caches[alias].clear()
    assert site.ok(f"/plain/{alias}/").text == EXPECTED
    assert site.ok(f"/async/{alias}/").text == EXPECTED
    assert caches[alias].get("key") == {"a": 1}


def step_native_backend(site):
    check(site, "default")


def step_djangos_backend(site):
    check(site, "djangos")


def step_django_redis(site):
    check(site, "package")


def step_cache_page(site):
    assert [site.ok("/page/").text for _ in range(3)] == ["1"] * 3


def step_sessions(site):
    assert [site.ok("/session/").text for _ in range(3)] == ["1", "2", "3"]
