"""The views of the site."""

from vinyl.web import render


async def home(request):
    return await render(request, "home.html")
