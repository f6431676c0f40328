import json

from asgiref.sync import async_to_sync
from channels.auth import AuthMiddlewareStack
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer, WebsocketConsumer
from channels.layers import get_channel_layer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.http import HttpResponse
from django.urls import path
from websockets.sync.client import connect

from tests.compatibility.shop.models import Album, stock_the_shop


class Counter(AsyncJsonWebsocketConsumer):
    async def connect(self):
        await self.channel_layer.group_add("albums", self.channel_name)
        await self.accept()

    async def receive_json(self, content):
        year = content["year"]
        native = await Album.objects.filter(year=year).acount()
        thread = await database_sync_to_async(Album.objects.count)()
        user = self.scope["user"]
        await self.send_json([native, thread, user.username])

    async def album_added(self, event):
        await self.send_json(event["title"])


class Plain(WebsocketConsumer):
    def receive(self, text_data):
        self.send(str(Album.objects.filter(year=int(text_data)).count()))


def add(request):
    layer = get_channel_layer()
    event = {"type": "album.added", "title": "New"}
    async_to_sync(layer.group_send)("albums", event)
    return HttpResponse("sent")


async def async_add(request):
    event = {"type": "album.added", "title": "Newer"}
    await get_channel_layer().group_send("albums", event)
    return HttpResponse("sent")


urlpatterns = [path("add/", add), path("async-add/", async_add)]


def asgi(application):
    routes = [path("count/", Counter.as_asgi()), path("plain/", Plain.as_asgi())]
    websocket = AuthMiddlewareStack(URLRouter(routes))
    return ProtocolTypeRouter({"http": application, "websocket": websocket})


def socket(site, url):
    cookies = "; ".join(f"{key}={value}" for key, value in site.cookies.items())
    url = site.origin.replace("http", "ws") + url
    return connect(url, additional_headers={"Cookie": cookies})


def step_async_consumer(site):
    stock_the_shop()
    site.login()
    with socket(site, "/count/") as websocket:
        websocket.send(json.dumps({"year": 1965}))
        assert json.loads(websocket.recv(5)) == [1, 3, "nina"]


def step_plain_consumer(site):
    with socket(site, "/plain/") as websocket:
        websocket.send("1965")
        assert websocket.recv(5) == "1"


def step_groups(site):
    with socket(site, "/count/") as websocket:
        websocket.send(json.dumps({"year": 1965}))
        websocket.recv(5)
        site.ok("/add/")
        assert json.loads(websocket.recv(5)) == "New"
        site.ok("/async-add/")
        assert json.loads(websocket.recv(5)) == "Newer"
