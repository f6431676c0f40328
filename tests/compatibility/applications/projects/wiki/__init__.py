"""django-wiki, with the settings of its documentation."""

from __future__ import annotations

from typing import Any

from tests.compatibility.applications.common import APPS, MIDDLEWARE, templates

PLUGINS = (
    "attachments.apps.AttachmentsConfig",
    "editsection.apps.EditSectionConfig",
    "globalhistory.apps.GlobalHistoryConfig",
    "help.apps.HelpConfig",
    "images.apps.ImagesConfig",
    "links.apps.LinksConfig",
    "macros.apps.MacrosConfig",
    "notifications.apps.NotificationsConfig",
)

requires = ("wiki",)


def settings() -> dict[str, Any]:
    return {
        "INSTALLED_APPS": [
            *APPS,
            "django_nyt.apps.DjangoNytConfig",
            "mptt",
            "sekizai",
            "sorl.thumbnail",
            "wiki.apps.WikiConfig",
            *(f"wiki.plugins.{name}" for name in PLUGINS),
        ],
        "MIDDLEWARE": MIDDLEWARE,
        "TEMPLATES": templates("sekizai.context_processors.sekizai"),
        "WIKI_ACCOUNT_HANDLING": True,
        "WIKI_ANONYMOUS_WRITE": False,
    }
