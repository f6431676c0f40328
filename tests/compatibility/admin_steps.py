"""What people do in the admin, for the sites of several packages."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model

from tests.compatibility.shop.models import Album, Artist, stock_the_shop
from tests.compatibility.visitor import Visitor

ALBUMS = "/admin/shop/album/"


def step_login(site: Visitor) -> None:
    site.login()
    site.logout()
    assert site.get("/admin/").status_code == 302
    site.ok("/admin/login/", "password")
    login = {"username": "nina", "password": "a password", "next": "/admin/"}
    response = site.post("/admin/login/", data=login)
    assert response.status_code == 302, response.text[:300]


def step_index(site: Visitor) -> None:
    site.ok("/admin/", "Albums", "Artists")
    site.ok("/admin/shop/", "Albums")


def step_list(site: Visitor) -> None:
    stock_the_shop()
    site.ok(ALBUMS, "Pastel Blues", "Nina Simone")
    page = site.ok(f"{ALBUMS}?q=wild", "Wild").text
    assert "Silk" not in page
    site.ok(f"{ALBUMS}?year=1966", "Wild")
    site.ok(f"{ALBUMS}?o=-2", "Silk")


def step_edit_in_list(site: Visitor) -> None:
    data = {"_save": "Save", **management("form", 3)}
    for number, album in enumerate(Album.objects.order_by("-pk")):
        data |= {f"form-{number}-id": str(album.pk), f"form-{number}-year": "2000"}
    response = site.post(ALBUMS, data=data)
    assert response.status_code == 302, response.text[:300]
    assert set(Album.objects.values_list("year", flat=True)) == {2000}


def management(prefix: str, initial: int, total: int | None = None) -> dict[str, str]:
    total = initial if total is None else total
    return {
        f"{prefix}-INITIAL_FORMS": str(initial),
        f"{prefix}-TOTAL_FORMS": str(total),
    }


def step_add(site: Visitor) -> None:
    site.ok(f"{ALBUMS}add/", "id_title")
    data = {"title": "New", "year": "1970", "artist": str(Artist.objects.get().pk)}
    response = site.post(f"{ALBUMS}add/", data=data)
    assert response.status_code == 302, response.text[:300]
    site.ok(ALBUMS, "was added successfully")


def step_add_with_an_upload(site: Visitor) -> None:
    data = {"title": "Cover", "year": "1970", "artist": str(Artist.objects.get().pk)}
    files = {"cover": ("cover.png", b"12345")}
    response = site.post(f"{ALBUMS}add/", data=data, files=files)
    assert response.status_code == 302, response.text[:300]
    assert Album.objects.get(title="Cover").cover.size == 5


def step_invalid(site: Visitor) -> None:
    site_answer = site.post(f"{ALBUMS}add/", data={"title": "", "year": "x"})
    assert site_answer.status_code == 200
    assert "This field is required" in site_answer.text


def step_change(site: Visitor) -> None:
    album = Album.objects.get(title="New")
    url = f"{ALBUMS}{album.pk}/change/"
    site.ok(url, "New")
    data = {"title": "Newer", "year": "1971", "artist": str(album.artist_id)}
    response = site.post(url, data={**data, "_continue": "1"})
    assert response.headers["Location"] == url
    album.refresh_from_db()
    assert (album.title, album.year) == ("Newer", 1971)


def step_history(site: Visitor) -> None:
    album = Album.objects.get(title="Newer")
    site.ok(f"{ALBUMS}{album.pk}/history/", "Changed")
    assert LogEntry.objects.filter(object_id=album.pk).count() == 2


def step_save_as_new(site: Visitor) -> None:
    album = Album.objects.get(title="Newer")
    data = {"title": "Copy", "year": "1971", "artist": str(album.artist_id)}
    url = f"{ALBUMS}{album.pk}/change/"
    assert site.post(url, data={**data, "_saveasnew": "1"}).status_code == 302
    assert Album.objects.filter(title__in=["Newer", "Copy"]).count() == 2


def step_inlines(site: Visitor) -> None:
    artist = Artist.objects.create(name="Etta James")
    url = f"/admin/shop/artist/{artist.pk}/change/"
    site.ok(url, "albums-TOTAL_FORMS")
    data = {
        "name": "Etta",
        **management("albums", 0, 1),
        "albums-0-title": "At Last!",
        "albums-0-year": "1960",
        "albums-0-artist": str(artist.pk),
    }
    response = site.post(url, data=data)
    assert response.status_code == 302, response.text[:300]
    assert artist.albums.get().title == "At Last!"


def step_autocomplete(site: Visitor) -> None:
    query = "app_label=shop&model_name=album&field_name=artist&term=Etta"
    found = site.ok(f"/admin/autocomplete/?{query}").json()
    assert [result["text"] for result in found["results"]] == ["Etta"]


def action(name: str, **extra: Any) -> dict[str, Any]:
    pks = [
        str(pk) for pk in Album.objects.filter(year=2000).values_list("pk", flat=True)
    ]
    return {"action": name, "_selected_action": pks, **extra}


def step_action(site: Visitor) -> None:
    response = site.post(ALBUMS, data=action("date_back", index="0"))
    assert response.status_code == 302, response.text[:300]
    assert Album.objects.filter(year=1900).count() == 3
    site.ok(ALBUMS, "Dated back.")
    Album.objects.filter(year=1900).update(year=2000)


def step_delete_selected(site: Visitor) -> None:
    page = site.post(ALBUMS, data=action("delete_selected"))
    assert "Are you sure" in page.text
    response = site.post(ALBUMS, data=action("delete_selected", post="yes"))
    assert response.status_code == 302, response.text[:300]
    assert not Album.objects.filter(year=2000).exists()


def step_delete(site: Visitor) -> None:
    artist = Artist.objects.get(name="Etta")
    url = f"/admin/shop/artist/{artist.pk}/delete/"
    site.ok(url, "At Last!")
    assert site.post(url, data={"post": "yes"}).status_code == 302
    assert not Album.objects.filter(title="At Last!").exists()


def step_permissions(site: Visitor) -> None:
    site.login("etta", is_superuser=False)
    assert site.get(ALBUMS).status_code == 403
    site.login("ella", is_staff=False)
    assert site.get(ALBUMS).status_code == 302
    site.login()


def step_password(site: Visitor) -> None:
    site.ok("/admin/password_change/", "old_password")
    user = get_user_model().objects.get(username="nina")
    site.ok(f"/admin/auth/user/{user.pk}/password/", "password1")
    site.ok(f"/admin/auth/user/{user.pk}/change/", "nina@example.org")


def step_logout(site: Visitor) -> None:
    assert site.post("/admin/logout/").status_code in (200, 302)
    assert site.get("/admin/").status_code == 302
