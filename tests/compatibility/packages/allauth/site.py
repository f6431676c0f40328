import re

from allauth.mfa.totp.internal.auth import (
    format_hotp_value,
    hotp_value,
    yield_hotp_counters_from_time,
)
from django.contrib.auth import get_user_model
from django.contrib.auth.decorators import login_required
from django.core import mail
from django.http import HttpResponse
from django.urls import include, path


@login_required
def home(request):
    return HttpResponse(f"Hello {request.user.username}")


urlpatterns = [
    path("accounts/", include("allauth.urls")),
    path("_allauth/", include("allauth.headless.urls")),
    path("home/", home),
]
PASSWORD = "Sinnerman-1965"


def code_of(secret):
    counter = next(yield_hotp_counters_from_time())
    return format_hotp_value(hotp_value(secret, counter))


def step_signup(site):
    site.ok("/accounts/signup/", "password1")
    data = {
        "username": "ella",
        "email": "ella@example.org",
        "password1": PASSWORD,
        "password2": PASSWORD,
    }
    response = site.post("/accounts/signup/", data=data)
    assert response.status_code == 302, response.text[:500]
    assert response.headers["Location"] == "/home/"
    site.ok("/home/", "Hello ella")
    assert get_user_model().objects.get().email == "ella@example.org"


def step_confirm_address(site):
    url = re.search(r"http://[\d.:]+(\S*confirm-email\S*)", mail.outbox[-1].body)
    site.ok(url[1])
    assert site.post(url[1]).status_code == 302
    user = get_user_model().objects.get()
    assert user.emailaddress_set.get().verified


def step_logout(site):
    site.ok("/accounts/logout/")
    assert site.post("/accounts/logout/").status_code == 302
    response = site.get("/home/")
    assert response.headers["Location"].startswith("/accounts/login/")


def step_wrong_password(site):
    response = site.post("/accounts/login/", data={"login": "ella", "password": "x"})
    assert response.status_code == 200
    assert "not correct" in response.text


def step_login(site):
    data = {"login": "ella@example.org", "password": PASSWORD}
    assert site.post("/accounts/login/", data=data).status_code == 302
    site.ok("/home/", "Hello ella")
    site.ok("/accounts/email/", "ella@example.org")
    site.ok("/accounts/sessions/")
    site.ok("/accounts/3rdparty/")


def step_change_password(site):
    data = {
        "oldpassword": PASSWORD,
        "password1": "n" + PASSWORD,
        "password2": "n" + PASSWORD,
    }
    assert site.post("/accounts/password/change/", data=data).status_code == 302
    site.ok("/home/", "Hello ella")


def step_reset_password(site):
    site.post("/accounts/logout/")
    site.post("/accounts/password/reset/", data={"email": "ella@example.org"})
    url = re.search(r"http://[\d.:]+(\S*/key/\S*)", mail.outbox[-1].body)[1]
    response = site.get(url, follow_redirects=True)
    data = {"password1": PASSWORD, "password2": PASSWORD}
    assert site.post(response.url, data=data).status_code == 302
    data = {"login": "ella", "password": PASSWORD}
    assert site.post("/accounts/login/", data=data).status_code == 302


def step_totp(site):
    site.post("/accounts/reauthenticate/", data={"password": PASSWORD})
    page = site.ok("/accounts/2fa/totp/activate/", "svg").text
    secret = re.search(r'value="([A-Z2-7]{32})"', page)[1]
    response = site.post("/accounts/2fa/totp/activate/", data={"code": code_of(secret)})
    assert response.status_code == 302, response.text[:500]
    site.ok("/accounts/2fa/", "Recovery")
    site.post("/accounts/logout/")
    data = {"login": "ella", "password": PASSWORD}
    response = site.post("/accounts/login/", data=data)
    assert response.headers["Location"] == "/accounts/2fa/authenticate/"
    assert site.get("/home/").status_code == 302
    user = get_user_model().objects.get()
    recovery = user.authenticator_set.get(type="recovery_codes").wrap()
    code = recovery.get_unused_codes()[0]
    response = site.post("/accounts/2fa/authenticate/", data={"code": code})
    assert response.status_code == 302, response.text[:500]
    site.ok("/home/", "Hello ella")


def step_github(site):
    response = site.post("/accounts/github/login/")
    assert response.status_code == 302
    assert response.headers["Location"].startswith("https://github.com/login/")


def step_headless(site):
    site.cookies.delete("sessionid")
    api = "/_allauth/browser/v1"
    assert site.ok(f"{api}/config").json()["status"] == 200
    assert site.get(f"{api}/auth/session").status_code == 401
    data = {"username": "etta", "email": "etta@example.org", "password": PASSWORD}
    response = site.post(f"{api}/auth/signup", json=data)
    assert response.status_code == 200, response.text
    assert site.ok(f"{api}/auth/session").json()["data"]["user"]["username"] == "etta"
    assert site.delete(f"{api}/auth/session").status_code == 401
    login = {"username": "etta", "password": "wrong"}
    assert site.post(f"{api}/auth/login", json=login).status_code == 400


def step_headless_app(site):
    site.cookies.delete("sessionid")
    api = "/_allauth/app/v1"
    login = {"username": "etta", "password": PASSWORD}
    meta = site.post(f"{api}/auth/login", json=login).json()["meta"]
    headers = {"X-Session-Token": meta["session_token"]}
    found = site.ok(f"{api}/auth/session", headers=headers).json()
    assert found["data"]["user"]["username"] == "etta"
