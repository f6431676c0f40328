"""The views of the site that belong to no app."""

import asyncio

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.forms import UserCreationForm
from django.db.models import Count
from django.views.generic import CreateView
from vinyl.web import render, reverse_lazy

from records.models import Album, Genre, Review


async def home(request):
    # Three queries side by side, on three connections of the pool.
    albums, genres, reviews = await asyncio.gather(
        Album.objects.select_related("artist")[:6],
        Genre.objects.annotate(album_count=Count("albums")),
        Review.objects.select_related("album__artist")[:3],
    )
    context = {"albums": albums, "genres": genres, "reviews": reviews}
    return await render(request, "home.html", context)


class SignUp(CreateView):
    form_class = UserCreationForm
    template_name = "registration/sign_up.html"
    success_url = reverse_lazy("records:wishes")

    def form_valid(self, form):
        response = super().form_valid(form)
        login(self.request, self.object)
        messages.success(self.request, f"Welcome, {self.object}.")
        return response
