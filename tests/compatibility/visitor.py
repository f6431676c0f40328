"""What the steps of a site get: a client that asks it over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
from django.conf import settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
)
from django.contrib.sessions.backends.db import SessionStore

# What Django's CsrfViewMiddleware compares, in a cookie and in a header. vinyl's
# CSRFMiddleware compares the Origin.
CSRF_TOKEN = "c" * 32
HOST = "127.0.0.1"


class Visitor(httpx.Client):
    """
    A client of the site at *port*; a step uses the database of the site in plain calls.
    """

    def __init__(self, port: int) -> None:
        self.origin = f"http://{HOST}:{port}"
        super().__init__(
            base_url=self.origin,
            headers={"Origin": self.origin},
            event_hooks={"request": [self.add_csrf_token]},
            timeout=20,
        )
        self.cookies.set("csrftoken", CSRF_TOKEN, domain=HOST)

    def add_csrf_token(self, request: httpx.Request) -> None:
        token = self.cookies.get("csrftoken", domain=HOST)
        request.headers.setdefault("X-CSRFToken", token or "")

    def login(self, name: str = "nina", **extra: Any) -> Any:
        """Log the user called *name* in, who is made a superuser if need be."""
        users: Any = get_user_model()
        user = users.objects.filter(username=name).first()
        if user is None:
            extra = {"is_staff": True, "is_superuser": True, **extra}
            email = f"{name}@example.org"
            user = users.objects.create_user(name, email, "a password", **extra)
        session = SessionStore()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.save()
        name, key = settings.SESSION_COOKIE_NAME, str(session.session_key)
        self.cookies.set(name, key, domain=HOST)
        return user

    def logout(self) -> None:
        """Forget the session."""
        self.cookies.delete(settings.SESSION_COOKIE_NAME)

    def ok(self, url: str, *texts: str, **options: Any) -> httpx.Response:
        """The response to a GET, which has to be 200 and contain *texts*."""
        response = self.get(url, **options)
        assert response.status_code == 200, (
            response.status_code,
            response.headers.get("Location"),
            response.text[:300],
        )
        for text in texts:
            assert text in response.text, (text, response.text[:1000])
        return response

    def graphql(self, query: str, **variables: Any) -> Any:
        """The data of the answer to *query*, sent to /graphql/."""
        body = {"query": query, "variables": variables}
        answer = self.post("/graphql/", json=body)
        assert answer.status_code == 200, (answer.status_code, answer.text[:300])
        assert "errors" not in answer.json(), answer.json()
        return answer.json()["data"]
