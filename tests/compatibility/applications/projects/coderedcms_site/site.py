from __future__ import annotations

from typing import Any

from mysite.urls import urlpatterns  # noqa: F401

starts = ["/", "/search/?s=jazz", "/admin/", "/admin/pages/", "/django-admin/"]


def load() -> None:
    from wagtail.models import Page
    from website.models import ArticleIndexPage, ArticlePage, WebPage

    home: Any = Page.objects.filter(depth=2).first()
    index = home.add_child(instance=ArticleIndexPage(title="Records"))
    for style in ("Jazz", "Soul"):
        page = home.add_child(instance=WebPage(title=style))
        for number in range(1, 4):
            page.add_child(instance=WebPage(title=f"{style} {number}"))
            article = ArticlePage(title=f"About {style} {number}", caption="New")
            index.add_child(instance=article).save_revision().publish()
