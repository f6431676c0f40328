from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

starts = ["/", "/jazz/", "/_search/?q=jazz", "/_account/login/", "/admin/"]
urlpatterns = [
    path("admin/", admin.site.urls),
    path("notifications/", include("django_nyt.urls")),
    path("", include("wiki.urls")),
]


def load() -> None:
    from django.contrib.auth import get_user_model
    from wiki.models import ArticleRevision, URLPath

    user = get_user_model().objects.first()
    text = "# Records\n\n[TOC]\n\n## Side A\n\nSee [wiki:/soul/](wiki:/soul/).\n"
    root = URLPath.create_root(title="Music", content=text)
    for style in ("jazz", "soul"):
        parent = URLPath.create_urlpath(
            root,
            style,
            title=style.title(),
            content=text,
            user_message="new",
            user=user,
        )
        for number in range(1, 5):
            page = URLPath.create_urlpath(
                parent, f"{style}-{number}", title=f"{style} {number}", content=text
            )
            revision = ArticleRevision(title=f"{style} {number}", content=text * 2)
            page.article.add_revision(revision)
