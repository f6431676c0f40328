import time

import sentry_sdk
from django.http import HttpResponse
from django.urls import path
from sentry_sdk.integrations.django import DjangoIntegration
from sentry_sdk.transport import Transport

from tests.compatibility.shop.models import Album, stock_the_shop

events = []


class Kept(Transport):
    def capture_envelope(self, envelope):
        events.extend(item.payload.json for item in envelope.items)


sentry_sdk.init(
    dsn="http://key@127.0.0.1/1",
    transport=Kept,
    send_default_pii=True,
    traces_sample_rate=1.0,
    integrations=[DjangoIntegration()],
)


def plain(request):
    return HttpResponse(Album.objects.filter(year=1965).count())


async def asynchronous(request):
    return HttpResponse(await Album.objects.filter(year=1965).acount())


def broken(request):
    raise ValueError("plain is broken")


async def async_broken(request):
    raise ValueError("async is broken")


def user_middleware(get_response):
    def middleware(request):
        if request.user.is_authenticated:
            user = request.user
            sentry_sdk.set_user({"id": user.pk, "username": user.username})
        return get_response(request)

    return middleware


urlpatterns = [
    path("plain/", plain),
    path("async/", asynchronous),
    path("broken/", broken),
    path("async-broken/", async_broken),
]


def waited_for(fits, query):
    """The events that *fits* accepts; they are sent after the response."""
    for _ in range(100):
        found = [event for event in list(events) if fits(event)]
        found = [
            event
            for event in found
            if (event.get("request", {}).get("query_string") or "") == query
        ]
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(events)


def traced(site, url):
    events.clear()
    for number in range(4):
        assert site.ok(f"{url}?{number}").text == "1"
    found = waited_for(lambda event: event.get("type") == "transaction", "3")
    transaction = found[-1]
    spans = [span for span in transaction["spans"] if span["op"] == "db"]
    assert "1965" in str(spans) or "COUNT" in str(spans), transaction["spans"]
    return transaction


def step_trace_of_a_plain_view(site):
    stock_the_shop()
    assert "plain" in traced(site, "/plain/")["transaction"]


def step_trace_of_an_async_view(site):
    assert "async" in traced(site, "/async/")["transaction"]


def errors(site, url):
    events.clear()
    assert site.get(url).status_code == 500
    return waited_for(lambda event: "exception" in event, "")


def step_errors(site):
    for url, text in (("/broken/", "plain is"), ("/async-broken/", "async is")):
        (event,) = errors(site, url)
        assert event["exception"]["values"][0]["value"].startswith(text)
        assert event["request"]["url"].endswith(url)


def step_user(site):
    site.login()
    (event,) = errors(site, "/broken/")
    assert event["user"]["username"] == "nina", event.get("user")
