from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

starts = ["/", "/tickets/", "/dashboard/", "/reports/", "/kb/", "/api/", "/admin/"]
urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("helpdesk.urls", namespace="helpdesk")),
]


def load() -> None:
    from django.contrib.auth import get_user_model
    from helpdesk.models import FollowUp, KBCategory, KBItem, Queue, Ticket

    user = get_user_model().objects.first()
    for title in ("Sales", "Support"):
        queue = Queue.objects.create(
            title=title, slug=title.lower(), allow_public_submission=True
        )
        for number in range(1, 9):
            ticket = Ticket.objects.create(
                queue=queue,
                title=f"{title} {number}",
                submitter_email="nina@example.org",
                assigned_to=user if number % 2 else None,
                description="It does not *work*.",
                priority=number % 5 + 1,
            )
            FollowUp.objects.create(ticket=ticket, user=user, comment="A question.")
    category = KBCategory.objects.create(
        name="general", title="General", slug="general", description="All of it."
    )
    for number in range(1, 4):
        KBItem.objects.create(
            category=category, title=f"Item {number}", question="How?", answer="So."
        )
