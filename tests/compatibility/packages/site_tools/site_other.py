from django.http import HttpResponse
from django.urls import path
from django_hosts.resolvers import reverse

from tests.compatibility.shop.models import Album


def home(request):
    where = reverse("plain", host="www")
    return HttpResponse(f"other {Album.objects.count()} {where}")


async def async_home(request):
    return HttpResponse(f"other {await Album.objects.acount()} {request.host.name}")


urlpatterns = [path("home/", home), path("async/", async_home)]
