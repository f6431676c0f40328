"""The shop behind the counter: /admin/."""

from vinyl.web import admin

from .models import Album, Artist, Genre, Label, Review, Wish


@admin.register(Album)
class AlbumAdmin(admin.ModelAdmin):
    list_display = ["title", "artist", "label", "year", "price"]
    list_filter = ["genres", "label"]
    search_fields = ["title", "artist__name"]
    ordering = ["title"]
    raw_id_fields = ["artist"]
    prepopulated_fields = {"slug": ["title"]}


@admin.register(Artist)
class ArtistAdmin(admin.ModelAdmin):
    list_display = ["name", "town"]
    search_fields = ["name", "town"]
    prepopulated_fields = {"slug": ["name"]}


@admin.register(Review)
class ReviewAdmin(admin.ModelAdmin):
    list_display = ["album", "author", "rating", "created_at"]
    list_filter = ["rating", "created_at"]
    search_fields = ["author", "text", "album__title"]
    raw_id_fields = ["album"]


@admin.register(Wish)
class WishAdmin(admin.ModelAdmin):
    list_display = ["album", "user", "created_at"]
    raw_id_fields = ["album", "user"]


admin.site.register([Genre, Label])
