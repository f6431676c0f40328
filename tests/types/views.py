"""Views of a project, as its author annotates them: mypy accepts all of them."""

from collections.abc import AsyncIterator

import starlette.responses
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.views.generic import TemplateView

from vinyl.web import (
    HTMLResponse,
    JSONResponse,
    RedirectResponse,
    Request,
    Response,
    StreamingResponse,
    WebSocket,
    admin,
    in_thread,
    include,
    mount,
    path,
    re_path,
    redirect,
    render,
    stream,
    websocket,
)
from vinyl.web.auth import (
    login_not_required,
    login_required,
    permission_required,
    user_passes_test,
)
from vinyl.web.decorators import cache_page, csrf_exempt, never_cache, require_POST
from vinyl.web.health import alive, health
from vinyl.web.staticfiles import static


async def page(request: Request, pk: int) -> HTMLResponse:
    return await render(request, "page.html", {"pk": pk})


def plain(request: Request) -> Response:
    return render(request, "page.html")


async def of_django(request: Request) -> HttpResponse:
    return HttpResponse("x")


def plain_of_django(request: HttpRequest) -> HttpResponse:
    return HttpResponse("x")


async def of_starlette(request: Request) -> starlette.responses.Response:
    return starlette.responses.PlainTextResponse("x")


async def either(request: Request) -> Response | HttpResponse:
    return redirect("page", pk=1)


async def streamed(request: Request) -> StreamingResponse:
    async def pieces() -> AsyncIterator[str]:
        yield "x"

    return StreamingResponse(pieces())


@in_thread
def report(request: Request) -> JSONResponse:
    return JSONResponse({})


@websocket
async def chat(websocket: WebSocket, room: str) -> None:
    await websocket.accept()


@login_required
async def members(request: Request) -> Response:
    return stream(request, "page.html")


@require_POST
@csrf_exempt
async def posted(request: Request) -> RedirectResponse:
    form = await request.form()
    user = await request.user
    session = await request.session
    session["title"] = form["title"]
    assert isinstance(user, User)
    return RedirectResponse(user.get_username())


@login_not_required
async def public(request: Request) -> Response:
    return Response("x")


@login_required(login_url="/login/")
def plain_members(request: Request) -> Response:
    return Response("x")


@never_cache
def uncached(request: Request) -> Response:
    return Response("x")


@cache_page(60)
async def cached(request: Request) -> Response:
    return Response("x")


@permission_required("x.y")
async def permitted(request: Request) -> Response:
    return Response("x")


@user_passes_test(lambda user: user.is_staff)
async def tested(request: Request) -> Response:
    return Response("x")


class About(TemplateView):
    template_name = "about.html"


urlpatterns = [
    path("page/<int:pk>/", page, name="page"),
    path("plain/", plain),
    path("a/", of_django),
    path("b/", plain_of_django),
    path("c/", of_starlette, {"x": 1}),
    re_path(r"^d/$", either),
    re_path(r"^d/$", plain, name="d"),
    path("e/", streamed),
    path("f/", report),
    path("g/<str:room>/", chat),
    path("h/", members),
    path("h/", plain_members),
    path("h/", public),
    path("i/", posted),
    path("j/", uncached),
    path("k/", cached),
    path("l/", permitted),
    path("l/", tested),
    path("about/", About.as_view()),
    path("alive/", alive),
    path("health/", health),
    path("n/", include("other.urls")),
    path("n/", include(("other.urls", "x"), namespace="y")),
    path("n/", include([path("page/", plain)])),
    mount("api/", starlette.responses.Response()),
    path("admin/", admin.site.urls),
]
urlpatterns += static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT)
