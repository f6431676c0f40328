"""The settings that `startproject` writes, for applications that are added to them."""

from __future__ import annotations

from typing import Any

APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.sites",
    "django.contrib.humanize",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
PROCESSORS = [
    "django.template.context_processors.debug",
    "django.template.context_processors.i18n",
    "django.template.context_processors.media",
    "django.template.context_processors.request",
    "django.template.context_processors.static",
    "django.template.context_processors.tz",
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
]
SETTINGS: dict[str, Any] = {
    "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
    "LANGUAGE_CODE": "en-us",
    "MEDIA_URL": "/media/",
    "MIDDLEWARE": MIDDLEWARE,
    "SITE_ID": 1,
    "STATIC_URL": "/static/",
    "TIME_ZONE": "UTC",
    "USE_I18N": True,
    "USE_TZ": True,
}


def templates(*processors: str, **options: Any) -> list[dict[str, Any]]:
    """TEMPLATES with Django's context processors and *processors*."""
    return [
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "APP_DIRS": True,
            "OPTIONS": {"context_processors": [*PROCESSORS, *processors], **options},
        }
    ]
