import time

from django.http import HttpResponse
from django.urls import path
from opentelemetry import trace
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.compatibility.shop.models import Album, stock_the_shop

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
DjangoInstrumentor().instrument()


def plain(request):
    with trace.get_tracer("site").start_as_current_span("own"):
        return HttpResponse(Album.objects.count())


async def asynchronous(request):
    with trace.get_tracer("site").start_as_current_span("own"):
        return HttpResponse(await Album.objects.acount())


def broken(request):
    raise ValueError("broken")


urlpatterns = [
    path("plain/", plain),
    path("async/", asynchronous),
    path("broken/", broken),
]


def spans_of(site, url, status=200):
    exporter.clear()
    assert site.get(url).status_code == status
    name = f"GET {url[1:]}"
    for _ in range(100):
        found = {span.name: span for span in exporter.get_finished_spans()}
        if name in found:
            return found
        time.sleep(0.05)
    raise AssertionError(found)


def check(site, url):
    found = spans_of(site, url)
    request = found[f"GET {url[1:]}"]
    assert found["own"].parent.span_id == request.context.span_id


def step_span_of_a_plain_view(site):
    stock_the_shop()
    check(site, "/plain/")


def step_span_of_an_async_view(site):
    check(site, "/async/")


def step_error(site):
    found = spans_of(site, "/broken/", 500)
    assert not found["GET broken/"].status.is_ok
