from django.http import HttpResponse, JsonResponse
from django.urls import path

from tests.compatibility.packages.simple_history.models import Poll


def plain(request, pk):
    poll = Poll.objects.get(pk=pk)
    poll.title += "!"
    poll.save()
    return HttpResponse(poll.title)


async def asynchronous(request, pk):
    poll = await Poll.objects.aget(pk=pk)
    poll.title += "!"
    await poll.asave()
    return HttpResponse(poll.title)


async def history(request, pk):
    poll = await Poll.objects.aget(pk=pk)
    return JsonResponse([row.title async for row in poll.history.all()], safe=False)


urlpatterns = [
    path("plain/<int:pk>/", plain),
    path("async/<int:pk>/", asynchronous),
    path("history/<int:pk>/", history),
]


def changes(site, url):
    user = site.login()
    poll = Poll.objects.create(title="First")
    site.ok(f"{url}{poll.pk}/")
    assert poll.history.count() == 2
    newest = poll.history.first()
    assert newest.prev_record.title == "First"
    assert newest.diff_against(newest.prev_record).changed_fields == ["title"]
    return newest, user


def step_plain_view(site):
    newest, user = changes(site, "/plain/")
    assert newest.history_user == user


def step_async_view(site):
    newest, user = changes(site, "/async/")
    assert newest.history_user == user


def step_reading_in_an_async_view(site):
    poll = Poll.objects.first()
    assert site.ok(f"/history/{poll.pk}/").json() == ["First!", "First"]


def step_anonymous(site):
    site.logout()
    poll = Poll.objects.first()
    site.ok(f"/plain/{poll.pk}/")
    assert poll.history.first().history_user is None
