"""Posts to forms that no browser would send."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc"

from __future__ import annotations

from typing import Any

import pytest

from tests.records.models import Genre, Label, Track
from tests.web.admin.administering import (
    MIDDLEWARE,
    administering,
    an_album,
    site_of_records,
    superuser,
    text,
)
from tests.web.http.posting import Page

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


def form_of(album: Any, **changes: Any) -> dict[str, Any]:
    """What a form that is complete sends, with *changes*; what is None is not sent."""
    data = {
        "title": "Changed",
        "year": "1965",
        "released": "1965-10-01",
        "notes": "n",
        "artist": str(album.artist_id),
        "label": str(album.label_id),
        "genres": [str(album.genre.pk)],
        "tracks-TOTAL_FORMS": "1",
        "tracks-INITIAL_FORMS": "0",
        "tracks-0-title": "Sinnerman",
        "tracks-0-position": "1",
        **changes,
    }
    return {key: value for key, value in data.items() if value is not None}


async def a_whole_album() -> Any:
    """An album whose form has no error."""
    album: Any = await an_album(label=await Label.objects.create(name="Philips"))
    album.genre = await Genre.objects.create(name="Jazz")
    return album


TAMPERED: dict[str, dict[str, Any]] = {
    "no management form": {"tracks-TOTAL_FORMS": None, "tracks-INITIAL_FORMS": None},
    "more at the start than there are": {"tracks-INITIAL_FORMS": "7"},
    "no number": {"tracks-TOTAL_FORMS": "many"},
    "a huge number": {"tracks-TOTAL_FORMS": "9" * 30},
    "10,000 forms": {"tracks-TOTAL_FORMS": "10000"},
    "a key of another row": {"tracks-INITIAL_FORMS": "1", "tracks-0-id": "999"},
    "a key of the wrong type": {"tracks-INITIAL_FORMS": "1", "tracks-0-id": "x"},
    "a key that is too large": {"tracks-INITIAL_FORMS": "1", "tracks-0-id": "9" * 30},
    "a parent of the wrong type": {"tracks-0-album": "x"},
    "another parent": {"tracks-0-album": "999"},
    "a title that is too long": {"title": "x" * 5000},
    "a NUL": {"title": "a\x00b"},
    "a number that is too large": {"year": "9" * 30},
    "a date out of range": {"released": "99999-01-01"},
    "genres of the wrong type": {"genres": ["x", "-1", "9" * 30]},
}


async def test_the_form_itself_is_complete() -> None:
    await superuser()
    album = await a_whole_album()
    url = f"/admin/records/album/{album.pk}/change/"
    async with administering(site=site_of_records()) as http:
        response = await http.post(url, data=form_of(album))
    assert response.status_code == 302, response.text[:2000]
    await album.refresh_from_db()
    assert album.title == "Changed"
    assert [track.title async for track in album.tracks.all()] == ["Sinnerman"]


@pytest.mark.parametrize("name", TAMPERED)
async def test_a_tampered_form_changes_nothing_and_loses_nothing(name: str) -> None:
    await superuser()
    album = await a_whole_album()
    other = await Track.objects.create(
        album=await an_album(title="Other"), title="Its own", position=1
    )
    url = f"/admin/records/album/{album.pk}/change/"
    async with administering(site=site_of_records()) as http:
        response = await http.post(url, data=form_of(album, **TAMPERED[name]))
        assert response.status_code == 200, (response.status_code, response.text[:2000])
        posted = Page(response.text).posted
        assert posted["notes"] == ["n"]
        assert "correct the error" in text(response)
    await album.refresh_from_db()
    await other.refresh_from_db()
    assert (album.title, other.title) == ("Pastel Blues", "Its own")
    assert await Track.objects.count() == 1


@pytest.mark.parametrize("total", ["TOTAL_FORMS", "INITIAL_FORMS"])
async def test_a_negative_number_of_rows_is_none(total: str) -> None:
    await superuser()
    album = await a_whole_album()
    own = await Track.objects.create(album=album, title="Its own", position=1)
    url = f"/admin/records/album/{album.pk}/change/"
    async with administering(site=site_of_records()) as http:
        data = form_of(album, **{"tracks-TOTAL_FORMS": "0", f"tracks-{total}": "-5"})
        response = await http.post(url, data=data)
    assert response.status_code == 302
    # The form is saved, and its rows are neither changed nor deleted.
    await album.refresh_from_db()
    assert album.title == "Changed"
    assert [track.pk async for track in album.tracks.all()] == [own.pk]


LARGE: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    "a long text": ({"DATA_UPLOAD_MAX_MEMORY_SIZE": 2000}, {"notes": "x" * 5000}, 413),
    "a long body": ({"VINYL": {"MAX_BODY_SIZE": 2000}}, {"notes": "x" * 5000}, 413),
    "many fields": (
        {"DATA_UPLOAD_MAX_NUMBER_FIELDS": 50},
        {f"x{n}": "1" for n in range(100)},
        400,
    ),
}


@pytest.mark.parametrize("name", LARGE)
async def test_a_form_that_is_too_large_stands_in_the_frame(name: str) -> None:
    await superuser()
    album = await a_whole_album()
    url = f"/admin/records/album/{album.pk}/change/"
    settings, changes, status = LARGE[name]
    async with administering(**settings) as http:
        response = await http.post(url, data=form_of(album, **changes))
    assert_framed(response, status)
    await album.refresh_from_db()
    assert album.title == "Pastel Blues"


async def test_uploads_that_are_too_many_or_too_large_stand_in_the_frame() -> None:
    await superuser()
    album = await a_whole_album()
    url = f"/admin/records/album/{album.pk}/change/"
    some: Any = [(f"file{n}", ("a.txt", b"x" * 3000, "text/plain")) for n in range(4)]
    limits: Any = [
        ({"DATA_UPLOAD_MAX_NUMBER_FILES": 3}, 400),
        ({"VINYL": {"MAX_BODY_SIZE": 9000}}, 413),
    ]
    for limit, status in limits:
        async with administering(**limit) as http:
            response = await http.post(url, data=form_of(album), files=some)
        assert_framed(response, status)
    await album.refresh_from_db()
    assert album.title == "Pastel Blues"


@pytest.mark.parametrize("knows_user", [True, False], ids=["known", "not yet"])
async def test_a_post_of_another_site_is_refused_in_the_frame(knows_user: bool) -> None:
    await superuser()
    album = await a_whole_album()
    url = f"/admin/records/album/{album.pk}/change/"
    order = MIDDLEWARE if knows_user else [MIDDLEWARE[-1], *MIDDLEWARE[:-1]]
    async with administering(MIDDLEWARE=order) as http:
        headers = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
        response = await http.post(url, data=form_of(album), headers=headers)
        assert_framed(response, 403, has_sidebar=knows_user)
        # Another site must not have the visitor send it again by a button.
        assert "Sinnerman" not in response.text
    await album.refresh_from_db()
    assert album.title == "Pastel Blues"


def assert_framed(response: Any, status: int, *, has_sidebar: bool = True) -> None:
    assert response.status_code == status, response.text[:2000]
    assert f'<span class="status">{status}</span>' in response.text
    assert "vinyl/admin.css" in response.text
    assert ('href="/admin/records/label/"' in response.text) is has_sidebar
