from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.urls import include, path

starts = ["/", "/catalogue/", "/dashboard/", "/admin/"]
urlpatterns = [
    path("i18n/", include("django.conf.urls.i18n")),
    path("admin/", admin.site.urls),
    path("", include(apps.get_app_config("oscar").urls[0])),
]


def load() -> None:
    from oscar.core.loading import get_model

    kind: Any = get_model("catalogue", "ProductClass")
    product: Any = get_model("catalogue", "Product")
    category: Any = get_model("catalogue", "Category")
    partner: Any = get_model("partner", "Partner")
    records = kind.objects.create(name="Record", requires_shipping=True)
    seller = partner.objects.create(name="Philips")
    root = category.add_root(name="Music")
    for style in ("Jazz", "Soul"):
        child = root.add_child(name=style)
        for number in range(1, 13):
            title = f"{style} {number}"
            each = product.objects.create(product_class=records, title=title)
            each.categories.add(child)
            each.stockrecords.create(
                partner=seller,
                partner_sku=title,
                price=Decimal(10 + number),
                num_in_stock=9,
            )
    get_model("address", "Country").objects.create(
        iso_3166_1_a2="FR", printable_name="France", name="France"
    )
