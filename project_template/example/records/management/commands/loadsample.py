from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from vinyl.orm import transaction
from vinyl.orm.management.progress import Progress

from records.models import Album, Artist, Genre, Label, Review, Track
from records.sample import Stock


class Command(BaseCommand):
    help = "Fills the shop with invented records, the same on every run."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--replace",
            action="store_true",
            help="Remove every record, artist and review first.",
        )

    def handle(self, *args: Any, replace: bool, **options: Any) -> None:
        # In a transaction, so that an interrupted run changes nothing.
        with transaction.atomic():
            if replace:
                Artist.objects.all().delete()
                Label.objects.all().delete()
                Genre.objects.all().delete()
            elif Artist.objects.exists():
                self.stdout.write(
                    f"There are {Artist.objects.count()} artists with "
                    f"{Album.objects.count()} albums already. "
                    f"To start afresh: vinyl loadsample --replace"
                )
                return
            stock = Stock()
            with Progress(self.stdout, "Loading rows", **options) as progress:
                genres = Genre.objects.bulk_create(stock.genres())
                labels = Label.objects.bulk_create(stock.labels())
                artists = Artist.objects.bulk_create(stock.artists())
                albums = Album.objects.bulk_create(stock.albums(artists, labels))
                progress.advance(len(artists) + len(albums))
                # The model that Django makes for the relation.
                through: Any = Album.genres.through
                through.objects.bulk_create(stock.album_genres(albums, genres))
                tracks = Track.objects.bulk_create(stock.tracks(albums))
                progress.advance(len(tracks))
                reviews = Review.objects.bulk_create(stock.reviews(albums))
                progress.advance(len(reviews))
        self.stdout.write(
            self.style.SUCCESS(
                f"Loaded {len(artists)} artists, {len(albums)} albums, "
                f"{len(tracks)} tracks and {len(reviews)} reviews."
            )
        )
