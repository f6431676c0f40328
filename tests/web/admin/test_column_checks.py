"""The checks of the columns of exports and imports."""

from __future__ import annotations

from typing import Any

import pytest

from tests.records.models import Album, Booklet
from vinyl.orm import run
from vinyl.web.admin import AdminSite, ModelAdmin
from vinyl.web.admin.column_checks import check_columns

pytestmark = pytest.mark.anyio


def admin_with(model: Any = Album, **options: Any) -> ModelAdmin:
    site = AdminSite()
    site.register(model, type("Own", (ModelAdmin,), options))
    return site.get_model_admin(model)  # type: ignore[return-value]  # the stubs know Django's


def test_columns_that_work_are_not_reported() -> None:
    def shouted(admin: Any, album: Any) -> str:
        return str(album).upper()

    found = check_columns(
        admin_with(
            import_fields=["id", "title", "artist__name", "genres"],
            export_fields=[
                "pk",
                "title",
                "artist_id",
                "artist__name",
                "artist__biography__text",
                "genres",
                "__str__",
                "shouted",
                lambda album: 1,
            ],
            shouted=shouted,
        )
    )
    assert found == []


async def test_columns_that_cannot_work_are_reported_by_the_site() -> None:
    admin = admin_with(
        Booklet,
        import_fields=["scan", "album"],
        import_key="album",
        export_fields=["scann", "album__nothing", "album__genres__name"],
    )
    found = await run(admin.check)
    assert [error.id for error in found] == 2 * ["vinyl.E146"] + 3 * ["vinyl.E147"]
    assert "'scan', which an import cannot fill: a table has no files." in found[0].msg
    assert "'album', which is not a unique field" in found[1].msg
    assert [error.obj.__name__ for error in found] == 5 * ["Own"]
