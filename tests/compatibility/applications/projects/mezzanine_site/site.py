from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.urls import include, path
from django.views.generic import TemplateView

starts = ["/", "/blog/", "/jazz/", "/search/?q=jazz", "/admin/"]
urlpatterns = [
    path("admin/", include(admin.site.urls)),
    path("", TemplateView.as_view(template_name="index.html"), name="home"),
    path("", include("mezzanine.urls")),
]


def load() -> None:
    from django.contrib.auth import get_user_model
    from mezzanine.blog.models import BlogCategory, BlogPost
    from mezzanine.forms.models import Form
    from mezzanine.pages.models import RichTextPage

    user: Any = get_user_model().objects.first()
    category = BlogCategory.objects.create(title="Records")
    for style in ("Jazz", "Soul"):
        page = RichTextPage.objects.create(title=style, content=f"<p>{style}</p>")
        for number in range(1, 5):
            title = f"{style} {number}"
            RichTextPage.objects.create(title=title, parent=page, content="<p>So.</p>")
            post = BlogPost.objects.create(title=title, user=user, content="<p>So.</p>")
            post.categories.add(category)
            post.comments.create(
                user_name="Nina",
                user_email="nina@example.org",
                comment="Yes.",
                site_id=1,
            )
    form = Form.objects.create(title="Contact", button_text="Send")
    form.fields.create(label="Name", field_type=1, required=True)
