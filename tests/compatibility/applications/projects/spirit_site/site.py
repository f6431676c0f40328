from __future__ import annotations

from typing import Any

import spirit.urls
from django.contrib import admin
from django.urls import include, path

starts = ["/", "/category/", "/topic/1/", "/user/1/", "/st/admin/", "/admin/"]
urlpatterns = [path("", include(spirit.urls)), path("admin/", admin.site.urls)]


def load() -> None:
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from spirit.category.models import Category
    from spirit.comment.models import Comment
    from spirit.topic.models import Topic

    call_command("createcachetable", verbosity=0)
    nina, otis = get_user_model().objects.order_by("pk")[:2]
    for style in ("Jazz", "Soul"):
        category: Any = Category.objects.create(title=style)
        for number in range(1, 5):
            title = f"{style} {number}"
            topic = Topic.objects.create(category=category, title=title, user=nina)
            for user in (nina, otis):
                Comment.objects.create(
                    topic=topic, user=user, comment="*So.*", comment_html="<p>So.</p>"
                )
