"""django CMS with versions and its plugins for text and Bootstrap."""

from __future__ import annotations

from typing import Any

from tests.compatibility.applications.common import APPS, MIDDLEWARE, templates

requires = (
    "django-cms",
    "djangocms-text",
    "djangocms-versioning",
    "djangocms-alias",
    "djangocms-frontend",
)


def settings() -> dict[str, Any]:
    return {
        "CMS_CONFIRM_VERSION4": True,
        "CMS_TEMPLATES": [("page.html", "Page")],
        "DJANGOCMS_VERSIONING_ALLOW_DELETING_VERSIONS": True,
        "INSTALLED_APPS": [
            __name__,
            *APPS,
            "cms",
            "menus",
            "treebeard",
            "sekizai",
            "filer",
            "easy_thumbnails",
            "djangocms_link",
            "djangocms_text",
            "djangocms_versioning",
            "djangocms_alias",
            "djangocms_frontend",
            "djangocms_frontend.contrib.card",
            "djangocms_frontend.contrib.grid",
            "djangocms_frontend.contrib.link",
        ],
        "LANGUAGE_CODE": "en",
        "LANGUAGES": [("en", "English"), ("fr", "French")],
        "MIDDLEWARE": [
            "cms.middleware.utils.ApphookReloadMiddleware",
            *MIDDLEWARE,
            "django.middleware.locale.LocaleMiddleware",
            "cms.middleware.user.CurrentUserMiddleware",
            "cms.middleware.page.CurrentPageMiddleware",
            "cms.middleware.toolbar.ToolbarMiddleware",
            "cms.middleware.language.LanguageCookieMiddleware",
        ],
        "TEMPLATES": templates(
            "sekizai.context_processors.sekizai",
            "cms.context_processors.cms_settings",
        ),
        "X_FRAME_OPTIONS": "SAMEORIGIN",
    }
