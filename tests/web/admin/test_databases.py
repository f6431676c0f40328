"""Objects that are in another database than the users and the log."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import IntegrityError, connections, models, transaction
from django.db.models import signals

from tests.records.models import Account, Album, Artist, Entry, Genre, Label
from tests.settings import database
from tests.web.admin.administering import administering, superuser, text
from vinyl.web.admin import AdminSite, ModelAdmin

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


@pytest.fixture
def other(tmp_path: Path) -> Iterator[str]:
    """A second database, with tables for labels, accounts and what refers to them."""
    settings = database(f"sqlite:///{tmp_path}/other.sqlite3")
    configured = connections.configure_settings({"other": settings, "default": {}})
    connections.settings["other"] = configured["other"]
    with connections["other"].schema_editor() as editor:
        for model in (Label, Artist, Genre, Album, Account, Entry):
            editor.create_model(model)
    connections["other"].close()
    yield "other"
    connections["other"].close()
    del connections["other"]
    del connections.settings["other"]


class OtherAdmin(ModelAdmin):
    """As Django's documentation has it for several databases."""

    using = "other"

    def save_model(self, request: Any, obj: Any, form: Any, change: bool) -> None:
        obj.save(using=self.using)

    def delete_model(self, request: Any, obj: Any) -> None:
        obj.delete(using=self.using)

    def get_queryset(self, request: Any) -> Any:
        return super().get_queryset(request).using(self.using)


async def test_objects_of_another_database(other: str) -> None:
    await superuser()
    await Label.objects.create(name="Here")
    site = AdminSite()
    site.register(Label, OtherAdmin)
    async with administering(site=site) as http:
        add = "/admin/records/label/add/"
        assert (await http.post(add, data={"name": "There"})).status_code == 302
        label = await Label.objects.using(other).get()
        url = f"/admin/records/label/{label.pk}/change/"
        assert "There" in text(await http.get(url))
        listed = text(await http.get("/admin/records/label/"))
        assert "There" in listed
        assert "Here" not in listed
        assert (await http.post(url, data={"name": "Changed"})).status_code == 302
        assert (await Label.objects.using(other).get()).name == "Changed"
        delete = f"/admin/records/label/{label.pk}/delete/"
        assert (await http.post(delete, data={"post": "yes"})).status_code == 302
    assert await Label.objects.using(other).count() == 0
    assert (await Label.objects.get()).name == "Here"


class ElsewhereAdmin(ModelAdmin):
    """Saves and deletes with Django's own methods: objects know their database."""

    def get_queryset(self, request: Any) -> Any:
        return super().get_queryset(request).using("other")


async def accounts(other: str) -> list[int]:
    """Three accounts in both databases, with two entries there and one here."""
    for using, entries in ((other, 2), ("default", 1)):
        for key in (1, 2, 3):
            account = await Account.objects.using(using).create(pk=key, balance=key)
            for n in range(entries):
                pk = 10 * key + n
                rows = Entry.objects.using(using)
                await rows.create(pk=pk, account=account, mark="", amount=n)
    return [1, 2]


async def left(using: str) -> tuple[int, int]:
    """How many accounts and entries there are."""
    rows = (Account.objects.using(using), Entry.objects.using(using))
    return await rows[0].count(), await rows[1].count()


def deletions(how: str, keys: list[int]) -> tuple[str, dict[str, Any]]:
    if how == "single":
        return f"{keys[0]}/delete/", {"post": "yes"}
    chosen = {"action": "delete_selected", "_selected_action": keys}
    across = {"select_across": "1", "expected": "3"} if how == "across" else {}
    return "", {**chosen, **across, "post": "yes"}


@pytest.mark.parametrize("limit", [None, 0], ids=["at once", "in batches"])
@pytest.mark.parametrize("how", ["single", "selected", "across"])
async def test_deletions_in_another_database(
    other: str, how: str, limit: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    await superuser()
    keys = await accounts(other)
    monkeypatch.setattr(ElsewhereAdmin, "delete_in_batches_above", limit)
    monkeypatch.setattr("vinyl.web.admin.actions.BATCH", 2)
    site = AdminSite()
    site.register(Account, ElsewhereAdmin)
    outside: list[Any] = []
    url, data = deletions(how, keys)

    def refuse(sender: Any, instance: Any, using: str, **_: Any) -> None:
        if not transaction.get_connection(using).in_atomic_block or using != other:
            outside.append(instance)
        if refused and instance.pk == 1:
            raise IntegrityError("Kept")

    refused = True
    signals.post_delete.connect(refuse, sender=Account)
    try:
        async with administering(site=site) as http:
            url = f"/admin/records/account/{url}"
            asked = {key: value for key, value in data.items() if key != "post"}
            if how == "single":
                page = text(await http.get(url))
            else:
                page = text(await http.post(url, data=asked))
            if how != "across":
                number = len(keys) if how == "selected" else 1
                assert f"Accounts: {number}" in page
                assert f"{2 * number}" in page.partition("ntrys: ")[2][:2]
            try:
                await http.post(url, data=data)
            except IntegrityError:
                # Of the action, as in Django.
                pass
            assert await left(other) == (3, 6)
            assert await LogEntry.objects.count() == 0
            refused = False
            assert (await http.post(url, data=data)).status_code in (200, 302)
    finally:
        signals.post_delete.disconnect(refuse, sender=Account)
    gone = {"single": 1, "selected": 2, "across": 3}[how]
    assert await left(other) == (3 - gone, 6 - 2 * gone)
    assert await left("default") == (3, 3)
    assert await LogEntry.objects.count() == gone
    assert outside == []


async def test_previews_of_relations_that_nobody_knows(
    other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(collector: Any, field: Any, objs: Any, using: str) -> None:
        models.CASCADE(collector, field, objs, using)

    await superuser()
    await accounts(other)
    remote = Entry._meta.get_field("account").remote_field
    monkeypatch.setattr(remote, "on_delete", unknown)
    site = AdminSite()
    site.register(Account, ElsewhereAdmin)
    async with administering(site=site) as http:
        page = text(await http.get("/admin/records/account/1/delete/"))
    assert "ntrys: 2" in page


async def test_what_is_saved_elsewhere_is_one_transaction(other: str) -> None:
    class Failing(ElsewhereAdmin):
        def save_related(self, *args: Any) -> None:
            super().save_related(*args)
            raise IntegrityError("Kept")

    await superuser()
    await accounts(other)
    site = AdminSite()
    site.register(Account, Failing)
    async with administering(site=site) as http:
        url = "/admin/records/account/1/change/"
        page = await http.post(url, data={"balance": "77"})
        assert "77" in page.text
        assert page.status_code == 200
    balances = [
        (await Account.objects.using(using).get(pk=1)).balance
        for using in (other, "default")
    ]
    assert balances == [1, 1]
