from urllib.parse import parse_qs, urlsplit

from django.contrib.auth import get_user_model
from django.urls import include, path
from oauth2_provider.models import get_application_model
from oauth2_provider.views import ProtectedResourceView
from rest_framework.decorators import api_view, permission_classes
from rest_framework.permissions import IsAuthenticated
from rest_framework.response import Response
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView


@api_view(["GET"])
@permission_classes([IsAuthenticated])
def who(request):
    return Response(request.user.username)


class Protected(ProtectedResourceView):
    def get(self, request):
        from django.http import HttpResponse

        return HttpResponse(request.resource_owner.username)


urlpatterns = [
    path("token/", TokenObtainPairView.as_view()),
    path("refresh/", TokenRefreshView.as_view()),
    path("who/", who),
    path("protected/", Protected.as_view()),
    path("auth/", include("djoser.urls")),
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
]


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def step_jwt(site):
    site.login()
    site.logout()
    assert site.get("/who/").status_code == 401
    login = {"username": "nina", "password": "a password"}
    found = site.post("/token/", json=login).json()
    assert site.ok("/who/", headers=bearer(found["access"])).json() == "nina"
    found = site.post("/refresh/", json={"refresh": found["refresh"]}).json()
    assert site.ok("/who/", headers=bearer(found["access"])).json() == "nina"


def step_djoser(site):
    data = {"username": "etta", "email": "etta@example.org", "password": "At-Last-1960"}
    response = site.post("/auth/users/", json=data)
    assert response.status_code == 201, response.text
    assert get_user_model().objects.filter(username="etta").exists()
    access = site.post("/token/", json=data).json()["access"]
    found = site.ok("/auth/users/me/", headers=bearer(access)).json()
    assert found["email"] == "etta@example.org"


def application(**options):
    return get_application_model().objects.create(
        name="app",
        client_type="confidential",
        client_secret="secret",
        user=get_user_model().objects.get(username="nina"),
        **options,
    )


def step_client_credentials(site):
    app = application(authorization_grant_type="client-credentials")
    data = {"grant_type": "client_credentials"}
    auth = (app.client_id, "secret")
    response = site.post("/o/token/", data=data, auth=auth)
    assert response.status_code == 200, response.text


def step_authorization_code(site):
    app = application(
        authorization_grant_type="authorization-code",
        redirect_uris="http://127.0.0.1/callback",
        skip_authorization=True,
    )
    site.login()
    query = {
        "client_id": app.client_id,
        "response_type": "code",
        "redirect_uri": "http://127.0.0.1/callback",
        "scope": "read",
    }
    response = site.get("/o/authorize/", params=query)
    assert response.status_code == 302, response.text[:500]
    code = parse_qs(urlsplit(response.headers["Location"]).query)["code"][0]
    data = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": "http://127.0.0.1/callback",
    }
    response = site.post("/o/token/", data=data, auth=(app.client_id, "secret"))
    token = response.json()["access_token"]
    site.logout()
    assert site.ok("/protected/", headers=bearer(token)).text == "nina"
    assert site.ok("/who/", headers=bearer(token)).json() == "nina"
    assert site.get("/protected/").status_code == 403
