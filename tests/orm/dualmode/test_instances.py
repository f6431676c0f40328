"""`save()` and `delete()` of instances in async mode."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="arg-type, attr-defined, call-arg, func-returns-value, misc"

from __future__ import annotations

import pytest

from tests.orm.plans.planning import catalogue
from tests.records.models import Artist, Memo, Review
from vinyl.orm import run

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db", "nothing_known")]


async def test_of_models_with_a_save_of_their_own() -> None:
    album = await run(catalogue)
    for number in range(4):
        memo = await Memo.objects.create(text="x")
        assert memo.saves == 1
        await memo.save()
        assert (await Memo.objects.aget(pk=memo.pk)).saves == 2
        review = await Review.objects.create(album=album, text="x")
        assert review.revision == number + 1


async def test_arguments_that_django_refuses() -> None:
    album = await run(catalogue)
    for make, message in (
        (lambda: album.save(force=True), "force"),
        (lambda: album.save(update_fields=["titel"]), "titel"),
        (lambda: Artist.objects.create(nam="x"), "nam"),
        (lambda: Artist.objects.create(biography=1), "biography"),
        (lambda: Artist.objects.filter(pk=1).update(1), "argument"),
        (lambda: Artist.objects.all()[:1].update(name="x"), "slice"),
        (lambda: album.delete(force=True), "force"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            await make()
