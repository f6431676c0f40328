"""The ways to serve a Django project, as settings."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from django.apps import AppConfig

from vinyl.databases import database_from_url

# In the order of the table's columns, with their heads.
MODES = {
    "stock": "Django alone",
    "handler": "Django's handler, `vinyl.orm`",
    "bridged": "Django's handler in the bridge",
    "web": "`vinyl.web`",
}

DJANGO_MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
VINYL_MIDDLEWARE = [
    "vinyl.web.security.SecurityMiddleware",
    "vinyl.web.sessions.SessionMiddleware",
    "vinyl.web.csrf.CSRFMiddleware",
    "vinyl.web.auth.AuthenticationMiddleware",
    "vinyl.web.messages.MessagesMiddleware",
]
APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "tests.compatibility.shop",
]
DJANGO_TEMPLATES = {
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "APP_DIRS": True,
    "OPTIONS": {
        "context_processors": [
            "django.template.context_processors.request",
            "django.contrib.auth.context_processors.auth",
            "django.contrib.messages.context_processors.messages",
        ],
    },
}


class SiteConfig(AppConfig):
    """The folder of the package as an app: its models, admin and templates."""

    label = "site"
    # What settings_of() has been asked for: a process serves one site.
    name = ""


SITE = f"{SiteConfig.__module__}.{SiteConfig.__name__}"


def settings_of(
    package: ModuleType, mode: str, url: str, folder: str
) -> dict[str, Any]:
    """
    The settings of a site.

    Args:
        package: One of `packages`, with `apps`, `middleware`, `settings`, and with
            `web`: the settings that differ in `vinyl.web`.
        mode: One of MODES.
        url: That of the database.
        folder: For files.
    """
    database = database_from_url(url, folder)
    if mode == "stock":
        database["ENGINE"] = database["ENGINE"].replace("vinyl.orm", "django.db")
    SiteConfig.name = package.__name__
    is_web = mode == "web"
    own_apps = {"stock": [], "web": ["vinyl.orm", "vinyl.web"]}.get(mode, ["vinyl.orm"])
    middleware = VINYL_MIDDLEWARE if is_web else DJANGO_MIDDLEWARE
    templates: list[dict[str, Any]] = [DJANGO_TEMPLATES]
    if is_web:
        ours = {"BACKEND": "vinyl.web.templating.Jinja2", "OPTIONS": {"apps": []}}
        templates = [{**ours, "APP_DIRS": True}, DJANGO_TEMPLATES]
    settings = {
        "ALLOWED_HOSTS": ["*"],
        "DATABASES": {"default": database},
        "EMAIL_BACKEND": "django.core.mail.backends.locmem.EmailBackend",
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "INSTALLED_APPS": [*own_apps, SITE, *getattr(package, "apps", ()), *APPS],
        "MEDIA_ROOT": folder,
        "MEDIA_URL": "/media/",
        "MIDDLEWARE": [*middleware, *getattr(package, "middleware", ())],
        "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
        "ROOT_URLCONF": f"{package.__name__}.site",
        "SECRET_KEY": "a key for the compatibility run, of more than 50 characters",
        "STATIC_URL": "/static/",
        "TEMPLATES": templates,
        "USE_TZ": True,
        **getattr(package, "settings", {}),
    }
    if is_web:
        settings |= getattr(package, "web", {})
    return settings


def application_of(mode: str) -> Any:
    """The ASGI application of the site whose settings are in use."""
    if mode == "web":
        from vinyl.web import get_asgi_application as of_vinyl_web

        return of_vinyl_web()
    if mode == "bridged":
        from vinyl.orm.asgi import get_asgi_application as bridged

        return bridged()
    from django.core.asgi import get_asgi_application

    return get_asgi_application()
