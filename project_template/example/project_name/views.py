"""The views of the site that belong to no app."""

import asyncio

from django.contrib.auth.forms import UserCreationForm
from django.contrib.auth.models import User
from django.db.models import Count
from django.http import HttpResponse
from vinyl.web import HTMLResponse, Request, messages, render, reverse_lazy
from vinyl.web.auth import login
from vinyl.web.views import CreateView

from records.models import Album, Genre, Review


async def home(request: Request) -> HTMLResponse:
    # Three queries side by side, on three connections of the pool.
    albums, genres, reviews = await asyncio.gather(
        Album.objects.select_related("artist")[:6],
        Genre.objects.annotate(album_count=Count("albums")),
        Review.objects.select_related("album__artist")[:3],
    )
    context = {"albums": albums, "genres": genres, "reviews": reviews}
    return await render(request, "home.html", context)


class SignUp(CreateView[User, UserCreationForm[User]]):
    form_class = UserCreationForm[User]
    template_name = "registration/sign_up.html"
    success_url = reverse_lazy("records:wishes")

    def form_valid(self, form: UserCreationForm[User]) -> HttpResponse:
        response = super().form_valid(form)
        login(self.request, self.object)
        messages.success(self.request, f"Welcome, {self.object}.")
        return response
