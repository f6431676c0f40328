"""Values that a field prepares as NULL, for which Django makes another query."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc, type-arg"

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db.models import Exists, OuterRef, Q
from django.test.utils import isolate_apps

from tests.orm.plans.planning import catalogue, queries_of
from tests.orm.plans.scenarios.outcomes import outcome
from tests.records.models import Album, Booklet
from vinyl.orm import models, run
from vinyl.orm.plans import shapes, trails

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db", "nothing_known")]


class BlankIsNull(models.CharField):
    """Stores the empty string as NULL."""

    def get_prep_value(self, value: Any) -> Any:
        return super().get_prep_value(value) or None


@pytest.fixture
def pages() -> Iterator[Any]:
    """The manager of a model with such a field, with three rows."""
    with isolate_apps("tests.records"):

        class Page(models.Model):
            scan = BlankIsNull(max_length=100, null=True)
            album = models.ForeignKey(Album, models.DO_NOTHING)

            class Meta:
                app_label = "records"
                db_table = Booklet._meta.db_table

        yield Page.objects


def fill(pages: Any) -> None:
    album = catalogue()
    for scan in ("a", "b", ""):
        pages.create(album_id=album.pk, scan=scan)


def has(pages: Any, scan: str) -> Any:
    return Album.objects.filter(Exists(pages.filter(album=OuterRef("pk"), scan=scan)))


ASKED: list[Callable[[Any, str], Any]] = [
    lambda pages, scan: list(pages.filter(scan=scan).values("scan")),
    lambda pages, scan: pages.get(scan=scan).scan,
    lambda pages, scan: list(pages.exclude(scan=scan).values("scan")),
    lambda pages, scan: pages.filter(Q(scan=scan) | Q(scan="b")).count(),
    lambda pages, scan: pages.filter(scan__gt=scan).count(),
    lambda pages, scan: has(pages, scan).count(),
    lambda pages, scan: pages.filter(pk__in=pages.filter(scan=scan)).exists(),
    lambda pages, scan: pages.filter(scan=scan).update(scan="c"),
]


@pytest.mark.parametrize("order", [["a", ""], ["", "a"]])
def test_are_asked_for_as_django_does(
    order: list[str],
    pages: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(pages)

    def of(ask: Callable[[Any, str], Any], scan: str) -> Any:
        found = outcome(lambda: ask(pages, scan))
        pages.filter(scan="c").update(scan=scan)
        return found

    for number, ask in enumerate(ASKED):
        with monkeypatch.context() as off:
            off.setattr(trails, "_enabled", False)
            expected = {scan: of(ask, scan) for scan in order}
        shapes.forget()
        for scan in [one for one in order for _ in range(4)] + order:
            assert of(ask, scan) == expected[scan], number


async def test_are_asked_for_on_the_event_loop(pages: Any) -> None:
    await run(fill, pages)
    for _ in range(4):
        assert (await pages.get(scan="a")).scan == "a"
        assert await pages.filter(scan="a").count() == 1
    for _ in range(2):
        assert (await pages.get(scan="")).scan is None
        assert await pages.filter(scan="").count() == 1


def test_of_instances_without_a_key(pages: Any) -> None:
    """The target of a relation may be NULL in an instance that has been saved."""
    fill(pages)
    with isolate_apps("tests.records"):

        class Sheet(models.Model):
            scan = models.CharField(max_length=100, null=True, unique=True)

            class Meta:
                app_label = "records"
                db_table = Booklet._meta.db_table

        class Copy(models.Model):
            of = models.ForeignKey(
                Sheet, models.DO_NOTHING, to_field="scan", db_column="scan", null=True
            )

            class Meta:
                app_label = "records"
                db_table = Booklet._meta.db_table

        sheets = {sheet.scan: sheet for sheet in Sheet.objects.all()}
        for _ in range(4):
            assert Copy.objects.filter(of=sheets["a"]).count() == 1
        for _ in range(2):
            count, [sql] = queries_of(Copy.objects.filter(of=sheets[None]).count)
            assert count == 1
            assert "IS NULL" in sql
