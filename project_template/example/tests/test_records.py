import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import override_settings
from vinyl.web.testing import Client

from records.models import Album, Artist, Genre, Label, Review, Wish
from records.sample import Stock


@pytest.fixture
async def album(db: Any) -> Album:
    """An album with everything that an album can have."""
    artist = await Artist.objects.create(
        name="The Paper Kettles", slug="the-paper-kettles", town="Cork"
    )
    label = await Label.objects.create(name="Tin Lantern")
    genre = await Genre.objects.create(name="Dub", slug="dub")
    album = await Album.objects.create(
        artist=artist,
        label=label,
        title="Leaving Porto",
        slug="leaving-porto",
        year=1981,
        price="17.90",
    )
    await album.genres.add(genre)
    await album.tracks.create(position=1, title="Dear Ilse", seconds=185)
    await album.reviews.create(author="Noor", rating=5, text="Again, please.")
    return album


async def test_the_list_shows_albums_with_their_artists(
    client: Client, album: Album
) -> None:
    response = await client.get("/albums/")

    assert response.status_code == 200
    assert "Leaving Porto" in response.text
    assert "The Paper Kettles" in response.text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("q=porto", True),
        ("q=KETTLES", True),
        ("q=nothing+like+it", False),
        ("genre=dub", True),
        ("page=99", True),
        ("page=none", True),
    ],
)
async def test_the_list_can_be_searched(
    client: Client, album: Album, query: str, found: bool
) -> None:
    response = await client.get(f"/albums/?{query}")

    assert response.status_code == 200
    assert ("Leaving Porto" in response.text) is found


async def test_an_album_page_shows_its_relations(client: Client, album: Album) -> None:
    response = await client.get(album.get_absolute_url())

    assert response.status_code == 200
    for text in ["The Paper Kettles", "Tin Lantern", "Dub", "Dear Ilse", "3:05"]:
        assert text in response.text
    assert "Again, please." in response.text


async def test_an_album_can_do_without_a_label(client: Client, album: Album) -> None:
    album.label = None
    await album.save()

    response = await client.get(album.get_absolute_url())

    assert "Released without a label" in response.text


async def test_an_unknown_album_is_not_found(client: Client, album: Album) -> None:
    assert (await client.get("/albums/no-such-album/")).status_code == 404
    assert (await client.get("/artists/no-such-artist/")).status_code == 404
    assert (await client.get("/api/albums/0/")).status_code == 404


async def test_an_artist_page_lists_the_albums(client: Client, album: Album) -> None:
    artist = await Artist.objects.get(albums=album)

    response = await client.get(artist.get_absolute_url())

    assert response.status_code == 200
    assert "Leaving Porto" in response.text
    assert "1 tracks" not in response.text


async def test_the_api_gives_the_album_as_json(client: Client, album: Album) -> None:
    response = await client.get(f"/api/albums/{album.pk}/")

    assert response.json() == {
        "title": "Leaving Porto",
        "year": 1981,
        "artist": "The Paper Kettles",
        "label": "Tin Lantern",
        "tracks": [{"title": "Dear Ilse", "length": "3:05"}],
    }


async def test_a_review_is_saved(client: Client, album: Album) -> None:
    response = await client.post(
        album.get_absolute_url(),
        data={"author": "Leo", "rating": "4", "text": "Side B!"},
    )

    assert response.status_code == 302
    assert response.headers["location"] == "/albums/leaving-porto/#reviews"
    review = await Review.objects.get(author="Leo")
    assert (review.album_id, review.rating, review.text) == (album.pk, 4, "Side B!")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"author": ""}, "This field is required."),
        ({"author": "noor"}, "You have reviewed this album already."),
        ({"rating": "6"}, "Select a valid choice."),
        ({"text": "x" * 2001}, "Ensure this value has at most 2000 characters"),
    ],
)
async def test_a_faulty_review_is_shown_again(
    client: Client, album: Album, change: dict[str, str], message: str
) -> None:
    data = {"author": "Leo", "rating": "4", "text": "Side B!", **change}

    response = await client.post(album.get_absolute_url(), data=data)

    assert response.status_code == 422
    assert message in response.text
    assert 'aria-invalid="true"' in response.text
    assert await Review.objects.count() == 1


def test_the_sample_is_the_same_on_every_run() -> None:
    def titles(stock: Stock) -> list[str]:
        return [album.title for album in stock.albums(stock.artists(), stock.labels())]

    first = titles(Stock())

    assert len(first) == 500
    assert first == titles(Stock())


@pytest.fixture
async def nina(db: Any) -> User:
    return await User.objects.acreate_user("nina", password="sinnerman-1965")


async def test_a_visitor_signs_up_and_is_logged_in(client: Client) -> None:
    data = {"username": "nina", "password1": "sinnerman-1965"}
    response = await client.post(
        "/accounts/sign-up/", data={**data, "password2": data["password1"]}
    )

    assert response.headers["location"] == "/wishes/"
    page = await client.get("/wishes/")
    assert "Welcome, nina." in page.text
    assert "Log out" in page.text


async def test_a_wish_list_is_for_those_who_are_logged_in(
    client: Client, album: Album
) -> None:
    response = await client.get("/wishes/")
    assert response.headers["location"] == "/accounts/login/?next=/wishes/"
    response = await client.post("/albums/leaving-porto/wish/")
    assert response.headers["location"].startswith("/accounts/login/")
    assert await Wish.objects.count() == 0


async def test_wishes_are_put_on_the_list_once_and_taken_off(
    client: Client, album: Album, nina: User
) -> None:
    await client.force_login(nina)

    for told in ["Leaving Porto is on your", "Leaving Porto was on your"]:
        response = await client.post("/albums/leaving-porto/wish/")
        assert response.headers["location"] == "/albums/leaving-porto/"
        page = await client.get("/albums/leaving-porto/")
        assert f"{told} wish list" in page.text
        assert "Take it off my wish list" in page.text

    assert "Leaving Porto" in (await client.get("/wishes/")).text
    await client.post("/albums/leaving-porto/unwish/")
    assert "Nothing on it yet" in (await client.get("/wishes/")).text
    assert (await client.get("/albums/leaving-porto/wish/")).status_code == 405


async def test_one_list_does_not_show_the_wishes_of_another(
    client: Client, album: Album, nina: User
) -> None:
    other = await User.objects.acreate_user("abbey")
    await Wish.objects.create(user=other, album=album)
    await client.force_login(nina)

    assert "Leaving Porto" not in (await client.get("/wishes/")).text


@pytest.mark.parametrize(
    ("name", "size", "told"),
    [
        ("front.png", 10, None),
        ("front.exe", 10, "File extension “exe” is not allowed."),
        ("front.png", 2 * 2**20 + 1, "The picture is larger than 2 MB."),
    ],
)
async def test_the_staff_changes_a_sleeve(
    client: Client,
    album: Album,
    nina: User,
    name: str,
    size: int,
    told: str | None,
    settings_with_media: None,
) -> None:
    files = {"cover": (name, b"x" * size, "image/png")}
    await client.force_login(nina)
    response = await client.post("/albums/leaving-porto/cover/", files=files)
    assert response.status_code == 403

    await nina.user_permissions.aadd(
        await Permission.objects.aget(codename="change_album")
    )
    response = await client.post("/albums/leaving-porto/cover/", files=files)

    await album.refresh_from_db()
    if told:
        assert told in response.text
        assert not album.cover
        return
    assert response.headers["location"] == "/albums/leaving-porto/"
    page = await client.get("/albums/leaving-porto/")
    assert f'src="{album.cover.url}"' in page.text
    # Without a new picture, the old one is kept.
    before = album.cover.name
    await client.post("/albums/leaving-porto/cover/", data={"cover": ""})
    await album.refresh_from_db()
    assert album.cover.name == before


@pytest.fixture
def settings_with_media(tmp_path: Path) -> Iterator[None]:
    with override_settings(MEDIA_ROOT=tmp_path):
        yield


async def test_the_live_page_is_sent_each_new_review(
    client: Client, album: Album
) -> None:
    assert "/live/reviews/" in (await client.get("/live/")).text

    async with client.stream("GET", "/live/reviews/") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.aiter_lines()
        # The stream contains only reviews that are written while it is open.
        assert await anext(lines) == "event: listening"
        await album.reviews.create(author="Leo", rating=4, text="Side B!")
        line = ""
        async for line in lines:
            if line.startswith("data: {"):
                break
    assert json.loads(line.removeprefix("data:"))["author"] == "Leo"


async def test_the_admin_lists_albums_for_the_staff(
    client: Client, album: Album
) -> None:
    staff = await User.objects.acreate_superuser("staff")
    await client.force_login(staff)

    page = await client.get("/admin/records/album/?q=porto")

    assert page.status_code == 200
    assert "Leaving Porto" in page.text
