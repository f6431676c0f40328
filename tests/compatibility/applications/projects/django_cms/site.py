from __future__ import annotations

from typing import Any

from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.db import transaction
from django.urls import include, path

starts = ["/en/", "/en/jazz/", "/fr/", "/en/jazz/?edit", "/en/admin/"]
urlpatterns = i18n_patterns(
    path("admin/", admin.site.urls), path("", include("cms.urls"))
)


@transaction.atomic
def load() -> None:
    from cms.api import add_plugin, create_page, create_page_content
    from django.contrib.auth import get_user_model
    from djangocms_versioning.models import Version

    user: Any = get_user_model().objects.first()
    options: dict[str, Any] = {"created_by": user, "in_navigation": True}
    home = create_page("Music", "page.html", "en", **options)
    home.set_as_homepage()
    pages = [home]
    for style in ("Jazz", "Soul"):
        page = create_page(style, "page.html", "en", **options)
        create_page_content("fr", f"Le {style}", page, created_by=user)
        pages.append(page)
        for number in (1, 2):
            title = f"{style} {number}"
            pages.append(create_page(title, "page.html", "en", parent=page, **options))
    for page in pages:
        for content in page.pagecontent_set(manager="admin_manager").all():
            [place] = content.get_placeholders() or [None]
            if place is None:
                place = content.placeholders.get_or_create(slot="content")[0]
            text = f"<p>About <b>{content.title}</b></p>"
            add_plugin(place, "TextPlugin", content.language, body=text)
    for version in Version.objects.all():
        if version.content.title != "Soul 2":
            version.publish(user)
