"""What the site answers."""

from vinyl.web import render


async def home(request):
    return await render(request, "home.html")
