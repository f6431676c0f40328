import re

from debug_toolbar.toolbar import debug_toolbar_urls
from django.http import HttpResponse
from django.urls import path

from tests.compatibility.shop.models import Album, stock_the_shop

PAGE = "<html><body>{} albums</body></html>"


def plain(request):
    return HttpResponse(PAGE.format(Album.objects.filter(year=1965).count()))


async def asynchronous(request):
    return HttpResponse(PAGE.format(await Album.objects.filter(year=1965).acount()))


urlpatterns = [path("plain/", plain), path("async/", asynchronous)]
urlpatterns += debug_toolbar_urls()


def queries_of(site, url):
    page = site.ok(url, "1 albums", "djDebug").text
    request_id = re.search(r'data-request-id="(\w+)"', page)[1]
    query = f"request_id={request_id}&panel_id=SQLPanel"
    content = site.ok(f"/__debug__/render_panel/?{query}").json()["content"]
    return content


def step_plain_view(site):
    stock_the_shop()
    assert "1965" in queries_of(site, "/plain/")


def step_async_view(site):
    assert "1965" in queries_of(site, "/async/")


def step_panels(site):
    page = site.ok("/plain/").text
    for panel in ("TimerPanel", "HeadersPanel", "CachePanel", "SignalsPanel"):
        assert panel in page
    request_id = re.search(r'data-request-id="(\w+)"', page)[1]
    for panel in ("HeadersPanel", "RequestPanel", "SettingsPanel", "HistoryPanel"):
        query = f"request_id={request_id}&panel_id={panel}"
        assert site.ok(f"/__debug__/render_panel/?{query}").json()["content"], panel
