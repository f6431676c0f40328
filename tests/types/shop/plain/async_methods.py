"""Methods of Django's classes, overridden by `async def`; vinyl awaits them."""

from typing import Any

from django.contrib.auth.mixins import UserPassesTestMixin
from django.core.management.base import BaseCommand

from vinyl.web import views

from ..records.models import Album


class Command(BaseCommand):
    async def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"{await Album.objects.count()} albums")


class AlbumDetail(UserPassesTestMixin, views.DetailView[Album]):
    model = Album

    async def test_func(self) -> bool:
        return await Album.objects.exists()

    async def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        context: dict[str, Any] = await super().get_context_data(**kwargs)
        context["tracks"] = await self.object.genres.count()
        return context

    async def get_object(self, queryset: Any = None) -> Album:
        return await Album.objects.get(pk=self.kwargs["pk"])
