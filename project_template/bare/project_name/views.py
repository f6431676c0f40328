"""The views of the site."""

from vinyl.web import HTMLResponse, Request, render


async def home(request: Request) -> HTMLResponse:
    return await render(request, "home.html")
