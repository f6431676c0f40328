import asyncio
from concurrent.futures import ThreadPoolExecutor

from django.http import HttpResponse, JsonResponse
from django.urls import include, path
from silk.models import Request, SQLQuery
from silk.profiling.profiler import silk_profile

from tests.compatibility.shop.models import Album, stock_the_shop


@silk_profile(name="plain profile")
def plain(request):
    return HttpResponse(Album.objects.filter(year=1965).count())


async def asynchronous(request):
    return HttpResponse(await Album.objects.filter(year=1965).acount())


met = []


async def meeting(request, year):
    """Query before and after the other request has."""
    await Album.objects.filter(year=year).acount()
    met.append(year)
    while len(met) < 2:
        await asyncio.sleep(0.01)
    return HttpResponse(await Album.objects.filter(year=year).acount())


def echo(request):
    return JsonResponse({"length": len(request.body)})


urlpatterns = [
    path("plain/", plain),
    path("async/", asynchronous),
    path("meeting/<int:year>/", meeting),
    path("echo/", echo),
    path("silk/", include("silk.urls")),
]


def recorded(site, url):
    Request.objects.all().delete()
    assert site.ok(url).text == "1"
    queries = SQLQuery.objects.filter(request__path=url)
    return [query.query for query in queries if "1965" in query.query]


def step_plain_view(site):
    stock_the_shop()
    assert len(recorded(site, "/plain/")) == 1


def step_async_view(site):
    assert len(recorded(site, "/async/")) == 1


def step_two_requests_at_once(site):
    met.clear()
    urls = ["/meeting/1965/", "/meeting/1966/"]
    with ThreadPoolExecutor(2) as pool:
        assert [page.text for page in pool.map(site.ok, urls)] == ["1", "1"]
    for url in urls:
        found = SQLQuery.objects.filter(request__path=url)
        counts = [year in query.query for query in found for year in [url[-5:-1]]]
        assert counts == [True, True], url


def step_body(site):
    assert site.post("/echo/", json={"a": 1}).json() == {"length": 7}
    assert '"a"' in Request.objects.get(path="/echo/").body


def step_pages(site):
    recorded(site, "/plain/")
    site.ok("/silk/", "plain")
    site.ok("/silk/requests/", "/plain/")
    request = Request.objects.get(path="/plain/")
    assert "shop_album" in site.ok(f"/silk/request/{request.pk}/sql/").text, site.ok(
        f"/silk/request/{request.pk}/sql/"
    ).text[2000:]
    site.ok("/silk/profiling/", "plain profile")
