import pytest

from records.models import Album, Artist, Genre, Label, Review
from records.sample import Stock


@pytest.fixture
async def album(db):
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


async def test_the_list_shows_albums_with_their_artists(client, album):
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
async def test_the_list_can_be_searched(client, album, query, found):
    response = await client.get(f"/albums/?{query}")

    assert response.status_code == 200
    assert ("Leaving Porto" in response.text) is found


async def test_an_album_page_shows_its_relations(client, album):
    response = await client.get(album.get_absolute_url())

    assert response.status_code == 200
    for text in ["The Paper Kettles", "Tin Lantern", "Dub", "Dear Ilse", "3:05"]:
        assert text in response.text
    assert "Again, please." in response.text


async def test_an_album_can_do_without_a_label(client, album):
    album.label = None
    await album.save()

    response = await client.get(album.get_absolute_url())

    assert "Released without a label" in response.text


async def test_an_unknown_album_is_not_found(client, album):
    assert (await client.get("/albums/no-such-album/")).status_code == 404
    assert (await client.get("/artists/no-such-artist/")).status_code == 404
    assert (await client.get("/api/albums/0/")).status_code == 404


async def test_an_artist_page_lists_the_albums(client, album):
    artist = await Artist.objects.get(albums=album)

    response = await client.get(artist.get_absolute_url())

    assert response.status_code == 200
    assert "Leaving Porto" in response.text
    assert "1 tracks" not in response.text


async def test_the_api_gives_the_album_as_json(client, album):
    response = await client.get(f"/api/albums/{album.pk}/")

    assert response.json() == {
        "title": "Leaving Porto",
        "year": 1981,
        "artist": "The Paper Kettles",
        "label": "Tin Lantern",
        "tracks": [{"title": "Dear Ilse", "length": "3:05"}],
    }


async def test_a_review_is_saved(client, album):
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
async def test_a_faulty_review_is_shown_again(client, album, change, message):
    data = {"author": "Leo", "rating": "4", "text": "Side B!", **change}

    response = await client.post(album.get_absolute_url(), data=data)

    assert response.status_code == 422
    assert message in response.text
    assert 'aria-invalid="true"' in response.text
    assert await Review.objects.count() == 1


def test_the_sample_is_the_same_on_every_run():
    def titles(stock):
        return [album.title for album in stock.albums(stock.artists(), stock.labels())]

    first = titles(Stock())

    assert len(first) == 500
    assert first == titles(Stock())
