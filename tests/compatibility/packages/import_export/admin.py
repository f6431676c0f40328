from django.contrib import admin
from import_export import resources
from import_export.admin import ImportExportModelAdmin

from tests.compatibility.shop.models import Album, Artist


class AlbumResource(resources.ModelResource):
    class Meta:
        model = Album
        fields = ["id", "title", "year", "artist"]


@admin.register(Album)
class AlbumAdmin(ImportExportModelAdmin):
    resource_classes = [AlbumResource]


@admin.register(Artist)
class ArtistAdmin(ImportExportModelAdmin):
    pass
