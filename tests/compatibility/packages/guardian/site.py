from django.contrib.auth import get_user_model
from django.http import HttpResponse, JsonResponse
from django.urls import path
from guardian.decorators import permission_required_or_403
from guardian.shortcuts import (
    assign_perm,
    get_objects_for_user,
    get_users_with_perms,
    remove_perm,
)

from tests.compatibility.shop.models import Album, stock_the_shop


def plain(request, pk):
    return HttpResponse(request.user.has_perm("change_album", Album.objects.get(pk=pk)))


async def asynchronous(request, pk):
    user = await request.auser()
    album = await Album.objects.aget(pk=pk)
    return HttpResponse(await user.ahas_perm("change_album", album))


@permission_required_or_403("shop.change_album", (Album, "pk", "pk"))
def guarded(request, pk):
    return HttpResponse("guarded")


def mine(request):
    albums = get_objects_for_user(request.user, "shop.change_album")
    return JsonResponse([album.title for album in albums], safe=False)


async def async_mine(request):
    from asgiref.sync import sync_to_async

    user = await request.auser()
    albums = await sync_to_async(get_objects_for_user)(user, "shop.change_album")
    return JsonResponse([album.title async for album in albums], safe=False)


urlpatterns = [
    path("plain/<int:pk>/", plain),
    path("async/<int:pk>/", asynchronous),
    path("guarded/<int:pk>/", guarded),
    path("mine/", mine),
    path("async-mine/", async_mine),
]


def step_permission_of_an_object(site):
    user = site.login("etta", is_superuser=False)
    first, second, _ = stock_the_shop().albums.all()
    assign_perm("change_album", user, first)
    for view in ("plain", "async"):
        assert site.ok(f"/{view}/{first.pk}/").text == "True", view
        assert site.ok(f"/{view}/{second.pk}/").text == "False", view


def step_decorator(site):
    first, second, _ = Album.objects.all()
    assert site.ok(f"/guarded/{first.pk}/").text == "guarded"
    assert site.get(f"/guarded/{second.pk}/").status_code == 403


def step_objects_for_user(site):
    assert site.ok("/mine/").json() == ["Pastel Blues"]
    assert site.ok("/async-mine/").json() == ["Pastel Blues"]


def step_remove(site):
    user = get_user_model().objects.get(username="etta")
    first = Album.objects.first()
    assert list(get_users_with_perms(first)) == [user]
    remove_perm("change_album", user, first)
    assert site.ok(f"/plain/{first.pk}/").text == "False"
