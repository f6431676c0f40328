from __future__ import annotations

import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.contrib import admin
from django.urls import include, path

starts = ["/", "/entity/list/", "/admin/"]
urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("django_ledger.urls", namespace="django_ledger")),
]


def load() -> None:
    from django.contrib.auth import get_user_model
    from django_ledger.io.io_core import get_localtime
    from django_ledger.io.io_generator import EntityDataGenerator
    from django_ledger.models import EntityModel
    from faker import Faker

    random.seed(1)
    Faker.seed(1)
    user: Any = get_user_model().objects.first()
    entity = EntityModel.create_entity(
        name="Records", admin=user, use_accrual_method=True, fy_start_month=1
    )
    EntityDataGenerator(
        user_model=user,
        entity_model=entity,
        start_dttm=get_localtime() - timedelta(days=60),
        capital_contribution=Decimal(100_000),
        days_forward=50,
        tx_quantity=4,
    ).populate_entity()
