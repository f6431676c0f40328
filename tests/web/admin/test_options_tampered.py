"""Posts to forms that no browser would send."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, func-returns-value, misc"

from __future__ import annotations

from typing import Any

import pytest

from tests.records.models import Track
from tests.web.admin.administering import (
    administering,
    an_album,
    site_of_records,
    superuser,
    text,
)
from tests.web.http.posting import Page

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("db")]


def tampered(**changes: Any) -> dict[str, Any]:
    return {
        "title": "Changed",
        "year": "1965",
        "released": "1965-10-01",
        "notes": "n",
        "tracks-TOTAL_FORMS": "1",
        "tracks-INITIAL_FORMS": "0",
        "tracks-0-title": "Sinnerman",
        "tracks-0-position": "1",
        **changes,
    }


TAMPERED: dict[str, dict[str, Any]] = {
    "no management form": {"tracks-TOTAL_FORMS": None, "tracks-INITIAL_FORMS": None},
    "a negative total": {"tracks-TOTAL_FORMS": "-1"},
    "a negative start": {"tracks-INITIAL_FORMS": "-5"},
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


@pytest.mark.parametrize("name", TAMPERED)
async def test_a_tampered_form_changes_nothing_and_loses_nothing(name: str) -> None:
    await superuser()
    album = await an_album()
    other = await Track.objects.create(
        album=await an_album(title="Other"), title="Its own", position=1
    )
    data = tampered(artist=album.artist_id, **TAMPERED[name])
    data = {key: value for key, value in data.items() if value is not None}
    url = f"/admin/records/album/{album.pk}/change/"
    async with administering(site=site_of_records()) as http:
        response = await http.post(url, data=data)
        assert response.status_code in (200, 400), response.text[:2000]
        if response.status_code == 200:
            posted = Page(response.text).posted
            assert posted["notes"] == ["n"]
            assert "correct the error" in text(response)
    await album.refresh_from_db()
    await other.refresh_from_db()
    assert (album.title, other.title) == ("Pastel Blues", "Its own")
    assert await Track.objects.count() == 1


async def test_a_body_that_is_too_large() -> None:
    await superuser()
    album = await an_album()
    url = f"/admin/records/album/{album.pk}/change/"
    limit: Any = {
        "DATA_UPLOAD_MAX_MEMORY_SIZE": 2000,
        "DATA_UPLOAD_MAX_NUMBER_FIELDS": 50,
    }
    async with administering(**limit) as http:
        data = tampered(artist=album.artist_id, notes="x" * 5000)
        assert (await http.post(url, data=data)).status_code in (400, 413)
        data = tampered(artist=album.artist_id, **{f"x{n}": "1" for n in range(100)})
        assert (await http.post(url, data=data)).status_code in (400, 413)
    await album.refresh_from_db()
    assert album.title == "Pastel Blues"
