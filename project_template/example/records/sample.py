"""
Invented stock for the shop: the same on every run, for it comes from a fixed seed.

Each function returns unsaved objects, which `loadsample` stores in bulk.
"""

import datetime
from decimal import Decimal
from random import Random
from typing import Any

from django.utils.text import slugify

from .models import Album, Artist, Genre, Label, Review, Track

ARTISTS = 50
ALBUMS_PER_ARTIST = 10

GENRES = """
    Ambient, Bossa Nova, Chamber Folk, Cool Jazz, Desert Blues, Dub, Hard Bop,
    Highlife, Krautrock, Lo-Fi, Northern Soul, Post-Punk, Psych Rock, Slowcore,
    Spiritual Jazz, Synth Pop
"""
LABELS = """
    Blue Ladder, Brass Button, Copper Kettle, Ferry House, Half Moon Audio, Ink & Ember,
    Night Heron, Paper Anchor, Quiet Corner, Salt Road, Tin Lantern, Wax Orchard
"""
TOWNS = """
    Antwerp, Bergen, Bristol, Cork, Dakar, Gdansk, Glasgow, Kobe, Lagos, Leipzig,
    Lisbon, Marseille, Montevideo, Porto, Recife, Tallinn, Trieste, Tucson, Turku,
    Valparaiso
"""
FIRST_NAMES = """
    Ada, Beno, Carmo, Delphine, Edda, Fenn, Greta, Hanno, Ilse, Jonah, Kaya, Lorenz,
    Mirela, Nils, Odile, Pia, Quill, Rosalba, Sunniva, Tove
"""
LAST_NAMES = """
    Almgren, Birdwhistle, Castelane, Dunmore, Eskelund, Fairweather, Grimaud, Hollis,
    Ironmonger, Jarvela, Kestrelman, Lindqvale, Marchbank, Nightingall, Oakenshaw,
    Pellingrove, Quintero, Rookwood, Silverlake, Tamsin
"""
ADJECTIVES = """
    Amber, Borrowed, Crooked, Distant, Electric, Faded, Gentle, Hollow, Idle, Little,
    Midnight, Paper, Quiet, Restless, Silver, Slow, Tender, Velvet, Wandering, Wooden
"""
# Regular plurals that begin with a consonant, so that they fit every phrase.
THINGS = """
    Bridge, Candle, Carousel, Feather, Garden, Harbour, Kettle, Ladder, Lantern, Meadow,
    Mirror, Needle, Parade, Postcard, Radio, River, Rooftop, Staircase, Telegram, Window
"""
TIMES = """
    after Midnight, at Daybreak, before the Rain, for a While, in August,
    in the Blue Hour, on a Sunday, until Tomorrow, when It Snows, with the Lights On
"""
BANDS = """
    The {adjective} {thing}s, {adjective} {thing}, {thing} & {thing2}, {last} Trio,
    The {last} Quartet, {first} {last}, {first} and the {thing}s, {town} {thing} Club
"""
ALBUMS = """
    {adjective} {thing}, The {adjective} {thing}, {thing} {time},
    {thing}s and {thing2}s, Songs for the {adjective} {thing}, Live in {town},
    The {thing} Is Not a {thing2}, {town} {time}, Letters to {first},
    The {thing} Sessions
"""
TRACKS = """
    {adjective} {thing}, {thing} {time}, {first}, {first}'s {thing}, Leaving {town},
    My {adjective} {thing}, No More {thing}s, {thing} Song, {time}, {town},
    {town} by Night, Where the {thing} Was, Two {thing}s, Dear {first}
"""
REVIEWERS = """
    Anouk, Bas, Chidi, Dorota, Emeka, Florian, Gwen, Hiroshi, Ines, Jurek, Katja, Leo,
    Maud, Noor, Oskar, Priya, Ruben, Saskia, Tomas, Wanda
"""
OPENINGS = [
    "Bought it for the sleeve and stayed for side B.",
    "My neighbour has started to hum it.",
    "It takes three listens. Then it takes the whole weekend.",
    "The quiet parts are the loud ones.",
    "I had this on tape and played it until it gave up.",
    "A record that sounds like the room it was made in.",
]
VERDICTS = {
    5: ["Lift the needle, start again.", "Keep a copy for lending out."],
    4: ["One song too long, and I forgive it.", "Better than its reputation."],
    3: ["Half of it is wonderful.", "Good company for the washing-up."],
    2: ["The cover promises more than the grooves hold.", "Not their best."],
    1: ["Mine has gone back to the shop.", "I wanted to like it."],
}


def words(text: str) -> list[str]:
    """Split one of the lists above."""
    return [" ".join(word.split()) for word in text.split(",")]


class Stock:
    """Everything that the shop has, drawn from one seed."""

    def __init__(self, seed: int = 33) -> None:
        self.random = Random(seed)
        self.slugs: set[str] = set()
        self.vocabulary = {
            "adjective": words(ADJECTIVES),
            "first": words(FIRST_NAMES),
            "last": words(LAST_NAMES),
            "thing": words(THINGS),
            "time": words(TIMES),
            "town": words(TOWNS),
        }

    def phrase(self, patterns: str) -> str:
        """Fill one of *patterns* with words, such as "Songs for a Paper Radio"."""
        chosen = {
            kind: self.random.choice(choices)
            for kind, choices in self.vocabulary.items()
        }
        others = [t for t in self.vocabulary["thing"] if t != chosen["thing"]]
        text = self.random.choice(words(patterns)).format(
            thing2=self.random.choice(others), **chosen
        )
        return text[0].upper() + text[1:]

    def unused_phrase(self, patterns: str) -> tuple[str, str]:
        """Return a phrase and its slug, which nothing else in the stock has."""
        while True:
            text = self.phrase(patterns)
            slug = slugify(text)
            if slug not in self.slugs:
                self.slugs.add(slug)
                return text, slug

    def genres(self) -> list[Genre]:
        return [Genre(name=name, slug=slugify(name)) for name in words(GENRES)]

    def labels(self) -> list[Label]:
        return [Label(name=name) for name in words(LABELS)]

    def artists(self) -> list[Artist]:
        artists: list[Artist] = []
        for _ in range(ARTISTS):
            name, slug = self.unused_phrase(BANDS)
            town = self.random.choice(self.vocabulary["town"])
            artists.append(Artist(name=name, slug=slug, town=town))
        return artists

    def albums(self, artists: list[Artist], labels: list[Label]) -> list[Album]:
        albums: list[Album] = []
        for artist in artists:
            year = self.random.randint(1956, 1998)
            for _ in range(ALBUMS_PER_ARTIST):
                title, slug = self.unused_phrase(ALBUMS)
                year += self.random.randint(0, 3)
                label = self.random.choice(labels)
                albums.append(
                    Album(
                        artist=artist,
                        # One in eight has no label.
                        label=None if self.random.random() < 1 / 8 else label,
                        title=title,
                        slug=slug,
                        year=year,
                        price=Decimal(self.random.randint(7, 34)) + Decimal("0.90"),
                    )
                )
        return albums

    def album_genres(self, albums: list[Album], genres: list[Genre]) -> list[Any]:
        """Rows of the table between albums and genres: one to three for each album."""
        return [
            Album.genres.through(album=album, genre=genre)
            for album in albums
            for genre in self.random.sample(genres, self.random.randint(1, 3))
        ]

    def tracks(self, albums: list[Album]) -> list[Track]:
        """Ten tracks for each album on average, none of them twice on one album."""
        tracks: list[Track] = []
        for album in albums:
            titles: set[str] = set()
            length = self.random.randint(8, 12)
            while len(titles) < length:
                title = self.phrase(TRACKS)
                if title not in titles:
                    titles.add(title)
                    tracks.append(
                        Track(
                            album=album,
                            position=len(titles),
                            title=title,
                            seconds=self.random.randint(95, 480),
                        )
                    )
        return tracks

    def reviews(self, albums: list[Album]) -> list[Review]:
        start = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
        reviews: list[Review] = []
        for album in albums:
            count = self.random.randint(0, 4)
            for author in self.random.sample(words(REVIEWERS), count):
                rating = self.random.choice([5, 5, 4, 4, 4, 3, 3, 2, 1])
                opening = self.random.choice(OPENINGS)
                verdict = self.random.choice(VERDICTS[rating])
                minutes = self.random.randrange(365 * 24 * 60)
                reviews.append(
                    Review(
                        album=album,
                        author=author,
                        rating=rating,
                        text=f"{opening} {verdict}",
                        created_at=start + datetime.timedelta(minutes=minutes),
                    )
                )
        return reviews
