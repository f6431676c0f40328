"""Django's pages for logging in and for passwords, with vinyl's templates."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, func-returns-value, misc, override"

from __future__ import annotations

import re
from typing import Any

import django
import jinja2
import pytest
from django.contrib.auth.forms import AuthenticationForm, PasswordResetForm
from django.contrib.auth.models import User
from django.contrib.auth.views import LoginView, PasswordResetView
from django.core import mail
from django.core.exceptions import ValidationError
from django.urls import include

from tests.web.serving import serving, templates
from tests.web.users import AUTH, VIEWS
from vinyl.web import PlainTextResponse, path
from vinyl.web.auth import login_required
from vinyl.web.mail import send_mail

pytestmark = pytest.mark.anyio

NINA = {"username": "nina", "password": "sinnerman"}
NEW = "Pastel-Blues-1965"
VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "NumericPasswordValidator")
]
LOCMEM = "django.core.mail.backends.locmem.EmailBackend"
SETTINGS: dict[str, Any] = {
    **AUTH,
    "LOGIN_URL": "login",
    "LOGIN_REDIRECT_URL": "/who/",
    "AUTH_PASSWORD_VALIDATORS": VALIDATORS,
    **(
        {"EMAIL_BACKEND": LOCMEM}
        if django.VERSION < (6, 1)
        else {"MAILERS": {"default": {"BACKEND": LOCMEM}}}
    ),
}


@login_required
async def cellar(request: Any) -> Any:
    return PlainTextResponse("wine")


URLS = (
    *VIEWS,
    path("cellar/", cellar),
    path("accounts/", include("django.contrib.auth.urls")),
)


@pytest.fixture
async def nina(db: Any) -> User:
    return await User.objects.create_user(**NINA, email="nina@example.org")


def heading(response: Any) -> str:
    return re.findall(r"<h1>(.*?)</h1>", response.text)[0]


async def test_logging_in_leads_to_the_page_that_was_asked_for(nina: User) -> None:
    async with serving(*URLS, **SETTINGS) as page:
        refused = await page.get("/cellar/?year=1965")
        login_url = refused.headers["location"]
        assert login_url == "/accounts/login/?next=/cellar/%3Fyear%3D1965"
        form = await page.get(login_url)
        assert heading(form) == "Log in"
        assert 'nonce="None"' not in form.text
        assert 'name="next" value="/cellar/?year=1965"' in form.text
        assert '<label for="id_username">' in form.text
        assert "/accounts/password_reset/" in form.text
        data = {**NINA, "next": "/cellar/?year=1965"}
        entered = await page.post(login_url, data=data)
        assert entered.headers["location"] == "/cellar/?year=1965"
        assert (await page.get("/cellar/")).text == "wine"
        # No token of Django's CSRF protection beside it.
        assert set(page.cookies) == {"sessionid"}
        left = await page.post("/accounts/logout/")
        assert heading(left) == "Logged out"
        assert (await page.get("/cellar/")).status_code == 302
        assert (await page.get("/accounts/logout/")).status_code == 405


async def test_who_may_not_log_in(nina: User) -> None:
    await User.objects.create_user("gone", password="gone", is_active=False)
    async with serving(*URLS, **SETTINGS) as page:
        for wrong in (
            {"username": "nina", "password": "x"},
            {"username": "gone", "password": "gone"},
            {"username": "nobody", "password": "x"},
            {"username": "nina\0", "password": "x"},
            {"username": "nina"},
            {},
        ):
            refused = await page.post("/accounts/login/", data=wrong)
            assert (refused.status_code, heading(refused)) == (200, "Log in")
            assert "errorlist" in refused.text
            assert "set-cookie" not in refused.headers


class Choosy(AuthenticationForm):
    async def confirm_login_allowed(self, user: Any) -> None:
        if not await User.objects.filter(pk=user.pk, is_staff=True).exists():
            raise ValidationError("Staff only")


async def test_a_form_may_refuse_a_login_in_async_code(nina: User) -> None:
    login = path("login/", LoginView.as_view(authentication_form=Choosy))
    async with serving(login, *URLS, **SETTINGS) as page:
        refused = await page.post("/login/", data=NINA)
        assert (refused.status_code, "Staff only" in refused.text) == (200, True)
        await User.objects.filter(pk=nina.pk).update(is_staff=True)
        assert (await page.post("/login/", data=NINA)).status_code == 302


class ByPigeon(PasswordResetForm):
    async def send_mail(self, *args: Any, **kwargs: Any) -> None:
        await send_mail("Coo", "", None, ["nina@example.org"])


async def test_a_form_may_send_its_mail_in_async_code(nina: User) -> None:
    mail.outbox = []
    reset = path("reset/", PasswordResetView.as_view(form_class=ByPigeon))
    async with serving(reset, *URLS, **SETTINGS) as page:
        data = {"email": "nina@example.org"}
        assert (await page.post("/reset/", data=data)).status_code == 302
    assert [message.subject for message in mail.outbox] == ["Coo"]


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.test/", "//evil.test/", "/\\evil.test", "javascript:alert(1)"],
)
async def test_next_does_not_lead_to_another_site(nina: User, elsewhere: str) -> None:
    async with serving(*URLS, **SETTINGS) as page:
        entered = await page.post("/accounts/login/", data={**NINA, "next": elsewhere})
        assert entered.headers["location"] == "/who/"


async def test_what_a_visitor_types_is_escaped(nina: User) -> None:
    async with serving(*URLS, **SETTINGS) as page:
        shown = await page.post(
            "/accounts/login/", data={"username": '"><script>', "next": '"><script>'}
        )
        assert "<script>" not in shown.text


async def test_changing_the_password(nina: User) -> None:
    async with serving(*URLS, **SETTINGS) as page:
        await page.post("/accounts/login/", data=NINA)
        elsewhere = page.cookies["sessionid"]
        page.cookies.clear()
        await page.post("/accounts/login/", data=NINA)
        before = page.cookies["sessionid"]
        form = await page.get("/accounts/password_change/")
        assert heading(form) == "Change your password"
        data = {"old_password": "x", "new_password1": NEW, "new_password2": NEW}
        refused = await page.post("/accounts/password_change/", data=data)
        assert "errorlist" in refused.text
        data["old_password"] = NINA["password"]
        short = {**data, "new_password1": "123", "new_password2": "123"}
        refused = await page.post("/accounts/password_change/", data=short)
        assert "too short" in refused.text
        changed = await page.post(
            "/accounts/password_change/", data=data, follow_redirects=True
        )
        assert heading(changed) == "Password changed"
        # This session goes on under another key, the other is none any more.
        assert (await page.get("/who/")).text == "nina"
        assert page.cookies["sessionid"] != before
        for old in (elsewhere, before):
            page.cookies.clear()
            headers = {"cookie": f"sessionid={old}"}
            assert (await page.get("/who/", headers=headers)).text == "nobody"


class NotTheName:
    """A validator of passwords that asks the database."""

    async def validate(self, password: str, user: Any = None) -> None:
        if await User.objects.filter(username=password).exists():
            raise ValidationError("Somebody is called so.")

    async def get_help_text(self) -> str:
        return f"Not one of the {await User.objects.count()} names."


async def test_a_validator_of_passwords_may_be_async(nina: User) -> None:
    await User.objects.create_user("Sassy-Vaughan")
    validators = [{"NAME": f"{__name__}.NotTheName"}]
    settings = {**SETTINGS, "AUTH_PASSWORD_VALIDATORS": validators}
    async with serving(*URLS, **settings) as page:
        await page.post("/accounts/login/", data=NINA)
        url = "/accounts/password_change/"
        assert "Not one of the 2 names." in (await page.get(url)).text
        for new, text in (("Sassy-Vaughan", "Somebody is called so."), (NEW, None)):
            data = {
                "old_password": NINA["password"],
                "new_password1": new,
                "new_password2": new,
            }
            response = await page.post(url, data=data)
            assert text is None or text in response.text
            await nina.refresh_from_db()
            assert await nina.check_password(new) is (text is None)


async def test_resetting_the_password_by_mail(nina: User) -> None:
    await User.objects.filter(pk=nina.pk).update(username="nina&<b>")
    mail.outbox = []
    async with serving(*URLS, **SETTINGS) as page:
        form = await page.get("/accounts/password_reset/")
        assert heading(form) == "Reset your password"
        # Who has no account learns nothing.
        for address in ("nobody@example.org", "nina@example.org"):
            sent = await page.post(
                "/accounts/password_reset/",
                data={"email": address},
                follow_redirects=True,
            )
            assert heading(sent) == "Look into your mail"
        (message,) = mail.outbox
        assert message.to == ["nina@example.org"]
        assert message.subject == "A new password for testserver"
        # Plain text: nothing in it is escaped.
        assert "nina&<b>\n" in message.body
        link = re.findall(r"^http://testserver(/\S+)$", message.body, re.M)[0]
        form = await page.get(link, follow_redirects=True)
        assert heading(form) == "Choose a new password"
        assert form.url.path.endswith("/set-password/")
        data = {"new_password1": NEW, "new_password2": NEW}
        saved = await page.post(form.url, data=data, follow_redirects=True)
        assert heading(saved) == "Password saved"
        assert 'href="/accounts/login/"' in saved.text
        used = await page.get(link, follow_redirects=True)
        assert heading(used) == "This link has had its day"
        data = {"username": "nina&<b>", "password": NEW}
        assert (await page.post("/accounts/login/", data=data)).status_code == 302
    for forged in ("/accounts/reset/MQ/x-y/", "/accounts/reset/!/set-password/"):
        async with serving(*URLS, **SETTINGS) as page:
            shown = await page.get(forged, follow_redirects=True)
            assert heading(shown) == "This link has had its day"


@pytest.mark.skipif(django.VERSION < (6, 0), reason="Django 6.0 brings CSP")
async def test_the_pages_keep_to_a_content_security_policy(db: Any) -> None:
    from django.utils.csp import CSP

    middleware = ["vinyl.web.security.SecurityMiddleware", *AUTH["MIDDLEWARE"]]
    policy = {"default-src": [CSP.SELF], "style-src": [CSP.SELF, CSP.NONCE]}
    settings = {**SETTINGS, "MIDDLEWARE": middleware, "SECURE_CSP": policy}
    async with serving(*URLS, **settings) as page:
        form = await page.get("/accounts/login/")
    nonce = re.findall(r'<style nonce="(.+?)">', form.text)[0]
    assert f"'nonce-{nonce}'" in form.headers["content-security-policy"]


async def test_the_pages_extend_the_projects_own_base(nina: User) -> None:
    base = {"base.html": "<p>My shop</p>{% block content %}{% endblock %}"}
    options = templates(files=base)
    loader = options["TEMPLATES"][0]["OPTIONS"]["loader"]
    options["TEMPLATES"][0]["OPTIONS"]["loader"] = jinja2.ChoiceLoader(
        [loader, jinja2.PackageLoader("vinyl.web", "jinja2")]
    )
    async with serving(*URLS, **{**SETTINGS, **options}) as page:
        form = await page.get("/accounts/login/")
    assert "<p>My shop</p>" in form.text
    assert heading(form) == "Log in"
