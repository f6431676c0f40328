"""
Sync code that is called on the event loop without the bridge: awaited under its own
name where there is a row for it, refused where there is none, and never half done.
"""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="type-arg, var-annotated"

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django import forms
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.base_user import BaseUserManager
from django.contrib.auth.forms import SetPasswordForm, UserCreationForm
from django.contrib.auth.models import Permission, User
from django.contrib.contenttypes.models import ContentType
from django.core import serializers
from django.core.cache import cache
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.db import connections, models
from django.db.models import signals
from django.test import override_settings

from tests.project.terminal import environment
from tests.records.models import Album, Artist
from vinyl.exceptions import NotAwaitedError
from vinyl.orm import run, transaction

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


class Draft(models.Model):
    """A model of this module only: its table is made by a fixture."""

    title = models.CharField(max_length=20)
    upload = models.FileField(upload_to="drafts", blank=True)

    class Meta:
        app_label = "misuse_of_tests"

    def __str__(self) -> str:
        return self.title

    def clean(self) -> None:
        if self.title == "forbidden":
            raise ValidationError("That is forbidden.")


class DraftForm(forms.ModelForm):
    class Meta:
        model = Draft
        fields = ["title"]


@pytest.fixture(autouse=True)
def drafts(db: str, tmp_path: Path, monkeypatch: Any) -> Iterator[Path]:
    storage = FileSystemStorage(tmp_path, "/m/")
    monkeypatch.setattr(Draft._meta.get_field("upload"), "storage", storage)
    with connections["default"].schema_editor() as editor:
        editor.create_model(Draft)
    connections["default"].close()
    yield tmp_path / "drafts"
    with connections["default"].schema_editor() as editor:
        editor.delete_model(Draft)


class TestForms:
    async def test_an_invalid_form_is_never_valid(self) -> None:
        form = DraftForm({"title": "forbidden"})
        with pytest.raises(NotAwaitedError, match=r"DraftForm\.is_valid.*truth"):
            assert form.is_valid()
        assert await form.is_valid() is False
        assert form.errors == {"__all__": ["That is forbidden."]}

    async def test_a_form_is_saved_or_refused(self) -> None:
        form = DraftForm({"title": "new"})
        assert await form.is_valid()
        with pytest.raises(NotAwaitedError, match=r"'DraftForm\.save'.*dropped"):
            form.save()
        draft = await form.save()
        assert await Draft.objects.get() == draft

    async def test_forms_of_users(self) -> None:
        data = {"username": "nina", "password1": "a2D4f6&8", "password2": "a2D4f6&8"}
        user = await UserCreationForm(data).save()
        assert await User.objects.get() == user
        data = {"new_password1": "b2D4f6&8", "new_password2": "b2D4f6&8"}
        form = SetPasswordForm(user, data)
        assert await form.is_valid()
        await form.save()
        user = await User.objects.get()
        assert await user.check_password("b2D4f6&8")

    async def test_formsets(self) -> None:
        formset = forms.modelformset_factory(Draft, DraftForm)
        data = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 0}
        refused = formset({**data, "form-0-title": "forbidden"})
        assert await refused.is_valid() is False
        accepted = formset({**data, "form-0-title": "new"})
        assert await accepted.is_valid()
        await accepted.save()
        assert await Draft.objects.count() == 1


class TestFiles:
    async def test_the_file_and_the_row_are_written_together(
        self, drafts: Path
    ) -> None:
        draft = Draft(title="new")
        with pytest.raises(NotAwaitedError, match=r"'FieldFile\.save'"):
            draft.upload.save("a.txt", ContentFile(b"a"))
        assert not any(drafts.parent.iterdir())
        await draft.upload.save("a.txt", ContentFile(b"a"))
        assert (await Draft.objects.get()).upload.name == "drafts/a.txt"
        assert (drafts / "a.txt").read_bytes() == b"a"

    async def test_and_deleted_together(self, drafts: Path) -> None:
        draft = Draft(title="new")
        await draft.upload.save("a.txt", ContentFile(b"a"))
        with pytest.raises(NotAwaitedError, match=r"'FieldFile\.delete'"):
            draft.upload.delete()
        assert (drafts / "a.txt").exists()
        await draft.upload.delete()
        assert not (drafts / "a.txt").exists()
        assert (await Draft.objects.get()).upload.name == ""

    async def test_or_the_file_alone(self, drafts: Path) -> None:
        draft = Draft(title="new")
        await draft.upload.save("a.txt", ContentFile(b"a"), save=False)
        assert (drafts / "a.txt").exists()
        assert draft.pk is None


class People(BaseUserManager):
    """A manager as the documentation of Django shows it, and a method more."""

    def create_user(self, username: str, password: str | None = None) -> Any:
        user = self.model(username=username)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, username: str, password: str | None = None) -> Any:
        user = self.create_user(username, password)
        user.is_staff = True
        user.save(using=self._db)
        return user

    def create_guest(self, username: str) -> Any:
        user = self.model(username=username)
        user.save(using=self._db)
        return user


class TestCustomManagers:
    @pytest.fixture
    def people(self) -> People:
        people = People()
        people.model = User
        return people

    async def test_create_user_is_awaited(self, people: People) -> None:
        user = await people.create_user("nina", "secret")
        assert user.pk
        boss = await people.create_superuser("boss")
        assert (await User.objects.get(pk=boss.pk)).is_staff
        with pytest.raises(NotAwaitedError, match=r"'People\.create_user'"):
            people.create_user("dropped")

    async def test_another_name_is_refused_with_the_remedy(
        self, people: People
    ) -> None:
        remedy = (
            r"'User\.save' .* by People\.create_guest\(\).*run\(create_guest, \.\.\."
        )
        with pytest.raises(NotAwaitedError, match=remedy):
            people.create_guest("guest")
        assert (await run(people.create_guest, "guest")).pk


class TestOfDjangosOwn:
    async def test_the_log_of_the_admin(self) -> None:
        user = await User.objects.create_user("nina")
        ContentType.objects.clear_cache()
        await LogEntry.objects.log_actions(user.pk, [user], CHANGE)
        entry = await LogEntry.objects.select_related("content_type").get()
        assert entry.content_type.model == "user"
        await LogEntry.objects.all().delete()

    async def test_an_attribute_that_a_serializer_reads(self) -> None:
        text = serializers.serialize("json", [Artist(pk=77, name="Nina")])
        [read] = serializers.deserialize("json", text)
        await read.save()
        assert (await Artist.objects.get(pk=77)).name == "Nina"

    async def test_a_permission_by_its_natural_key(self) -> None:
        ContentType.objects.clear_cache()
        permission = await Permission.objects.get_by_natural_key(
            "add_artist", "records", "artist"
        )
        assert permission.codename == "add_artist"

    async def test_what_has_no_row_is_refused(self) -> None:
        """And leaves nothing behind where Django keeps what it finds."""
        await Artist.objects.create(name="Nina")
        ContentType.objects.clear_cache()
        with pytest.raises(
            NotAwaitedError, match=r"run\(ContentTypeManager\.get_for_id"
        ):
            ContentType.objects.get_for_id(1)
        with pytest.raises(
            NotAwaitedError, match=r"ContentTypeManager\.get_by_natural"
        ):
            ContentType.objects.get_by_natural_key("records", "artist")
        assert ContentType.objects._cache == {}
        with pytest.raises(NotAwaitedError, match=r"run\(BaseCache\.get_or_set"):
            cache.get_or_set("artists", Artist.objects.count)
        assert cache.get("artists") is None
        with pytest.raises(NotAwaitedError, match="pickling or copying"):
            await cache.aset("artists", Artist.objects.count())

    async def test_a_receiver_on_the_loop(self) -> None:
        """Django's own code called it, but the project's drops the call."""

        def note(instance: Any, **kwargs: Any) -> None:
            instance.refresh_from_db()

        artist = await Artist.objects.create(name="Nina")
        signals.post_init.connect(note, sender=Artist)
        try:
            with pytest.raises(NotAwaitedError, match=r"run\(note, \.\.\.\)"):
                Artist(name="x")
        finally:
            signals.post_init.disconnect(note, sender=Artist)
        assert await Artist.objects.get() == artist

    async def test_a_hook_that_would_never_run(self) -> None:
        with pytest.raises(NotAwaitedError, match=r"'on_commit'.*dropped"):
            transaction.on_commit(print)
        async with transaction.atomic():
            transaction.on_commit(lambda: None)

    async def test_a_statement_of_a_cursor(self) -> None:
        from vinyl.orm import connection

        async with connection.cursor() as cursor:
            with pytest.raises(NotAwaitedError, match=r"'cursor\.execute'.*dropped"):
                cursor.execute("SELECT 1")
            await cursor.execute("SELECT 2")
            assert await cursor.fetchone() == (2,)

    async def test_an_item_of_a_queryset(self) -> None:
        with pytest.raises(NotAwaitedError, match=r"__getitem__' .* dropped"):
            Album.objects.all()[0]


SITES = """
import asyncio, json, os
from django.conf import settings

settings.configure(
    DATABASES={"default": json.loads(os.environ["TEST_DATABASE"])},
    INSTALLED_APPS=["vinyl.orm", "django.contrib.sites"],
    SITE_ID=1,
)
import django
django.setup()
from django.contrib.sites import models
from django.contrib.sites.shortcuts import get_current_site
from django.db import connection
from vinyl.orm import run

Site = models.Site
with connection.schema_editor() as editor:
    editor.create_model(Site)
try:
    Site.objects.create(pk=1, domain="example.org", name="Example")
    connection.close()

    def in_thread():
        try:
            return Site.objects.get_current()
        finally:
            connection.close()

    async def main():
        assert not models.SITE_CACHE
        try:
            Site.objects.get_current().domain
        except Exception as error:
            print(type(error).__name__)
        print(models.SITE_CACHE)
        print(await Site.objects.get_current())
        print(await get_current_site(None), await run(Site.objects.get_current))
        print(await asyncio.to_thread(in_thread))
        Site.objects.clear_cache()
        print(await asyncio.to_thread(in_thread))
        site = await Site.objects.aget()
        site.domain = "example.com"
        await site.save()
        print(await get_current_site(None))

    asyncio.run(main())
    print(Site.objects.get_current())
finally:
    connection.close()
    with connection.schema_editor() as editor:
        editor.delete_model(Site)
"""


def test_the_current_site_is_awaited_and_its_cache_holds_sites(db: str) -> None:
    settings = connections.settings["default"]
    entry = {key: settings[key] for key in settings if key != "TEST"}
    env = environment() | {
        "TEST_DATABASE": json.dumps(entry, default=str),
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SITES],
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert done.stdout.split("\n") == [
        "NotAwaitedError",
        "{}",
        "example.org",
        "example.org example.org",
        "example.org",
        "example.org",
        "example.com",
        "example.com",
        "",
    ]


def test_forced_to_be_async_sync_code_is_refused_without_a_loop() -> None:
    with override_settings(VINYL={"IS_ASYNC": True}):
        with pytest.raises(NotAwaitedError, match=r"run\(.*get_or_set"):
            cache.get_or_set("artists", Artist.objects.count)
