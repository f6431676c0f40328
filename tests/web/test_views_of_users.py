"""Who may see a class-based view, and Django's forms for users."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, func-returns-value, misc, override"
# Not all helpers are annotated.
# mypy: disable-error-code="type-arg, var-annotated"

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.forms import (
    AuthenticationForm,
    SetPasswordForm,
    UserCreationForm,
)
from django.contrib.auth.mixins import (
    LoginRequiredMixin,
    PermissionRequiredMixin,
    UserPassesTestMixin,
)
from django.contrib.auth.models import Permission, User

from tests.records.models import Label
from tests.web.serving import serving, templates
from vinyl.web import PlainTextResponse, auth, path, views
from vinyl.web.decorators import method_decorator

pytestmark = pytest.mark.anyio

SETTINGS = {
    "MIDDLEWARE": [
        "vinyl.web.sessions.SessionMiddleware",
        "vinyl.web.auth.AuthenticationMiddleware",
    ],
    "LOGIN_URL": "/login/",
}
NINA = {"username": "nina", "password": "sinnerman1"}


class Plain(views.View):
    def get(self, request: Any) -> Any:
        return PlainTextResponse(f"{request.user.username} {Label.objects.count()}")


class Async(views.View):
    async def get(self, request: Any) -> Any:
        user = await request.user
        return PlainTextResponse(f"{user.username} {await Label.objects.count()}")


class LoggedIn(LoginRequiredMixin):
    pass


class Permitted(PermissionRequiredMixin):
    permission_required = "auth.change_user"


class Named(UserPassesTestMixin):
    def test_func(self) -> bool:
        user: Any = self.request.user  # type: ignore[attr-defined]
        return user.is_authenticated and user.username == "nina"


class NamedAsync(UserPassesTestMixin):
    async def test_func(self) -> bool:
        user = await self.request.user  # type: ignore[attr-defined]
        return await User.objects.filter(pk=user.pk, username="nina").exists()


def decorated(view: type) -> Any:
    return method_decorator(auth.login_required, name="dispatch")(
        type("Decorated", (view,), {})
    )


def guarded(view: type) -> dict[str, Any]:
    """*view*, guarded in each way."""
    mixins = (LoggedIn, Permitted, Named, NamedAsync)
    made = {m.__name__: type(m.__name__, (m, view), {}) for m in mixins}
    return {**made, "decorated": decorated(view)}


async def enter(request: Any) -> Any:
    form = AuthenticationForm(request, await request.form())
    if not await form.is_valid():
        return PlainTextResponse("no", 403)
    await auth.login(request, form.get_user())
    return PlainTextResponse("welcome")


@pytest.fixture
async def nina(db: Any) -> User:
    return await User.objects.create_user(**NINA)


@pytest.mark.parametrize("view", [Plain, Async])
async def test_views_for_users_only(view: type, nina: User) -> None:
    made = guarded(view)
    urls = [path(f"{name}/", cls.as_view()) for name, cls in made.items()]
    async with serving(*urls, path("enter/", enter), **SETTINGS) as page:
        for name in made:
            refused = await page.get(f"/{name}/")
            assert refused.status_code == 302
            assert refused.headers["location"] == f"/login/?next=/{name}/"
        wrong = await page.post("/enter/", data={**NINA, "password": "x"})
        assert wrong.status_code == 403
        assert (await page.post("/enter/", data=NINA)).text == "welcome"
        for name in made:
            answer = await page.get(f"/{name}/")
            if name == "Permitted":
                assert answer.status_code == 403
            else:
                assert answer.text == "nina 0"
        permission = await Permission.objects.get(codename="change_user")
        await nina.user_permissions.add(permission)
        assert (await page.get("/Permitted/")).text == "nina 0"


class Register(views.CreateView):
    form_class = UserCreationForm
    template_name = "form.html"
    success_url = "/welcome/"


async def test_forms_for_users(nina: User) -> None:
    data = {"username": "bob", "password1": "sinnerman1", "password2": "sinnerman1"}
    form = UserCreationForm(data)
    assert await form.is_valid()
    bob = await form.save()
    assert await bob.check_password("sinnerman1")
    again = UserCreationForm(data)
    assert not await again.is_valid()
    assert again.errors["username"] == ["A user with that username already exists."]
    passwords = {"new_password1": "lilac-wine", "new_password2": "lilac-wine"}
    changing = SetPasswordForm(nina, passwords)
    assert await changing.is_valid()
    await changing.save()
    stored = await User.objects.get(username="nina")
    assert await stored.check_password("lilac-wine")
    files = templates(files={"form.html": "{{ form }}"})
    async with serving(path("", Register.as_view()), **files) as page:
        refused = await page.post("/", data={**data, "password2": "x"})
        assert "password fields didn" in refused.text
        made = await page.post("/", data={**data, "username": "eve"})
        assert made.headers["location"] == "/welcome/"
    assert await User.objects.filter(username="eve").exists()
