from django.contrib import admin
from unfold.admin import ModelAdmin, TabularInline

from tests.compatibility.shop.models import Album, Artist


class Albums(TabularInline):
    model = Album
    extra = 1


@admin.register(Artist)
class ArtistAdmin(ModelAdmin):
    inlines = [Albums]
    search_fields = ["name"]


@admin.action(description="Date back")
def date_back(modeladmin, request, queryset):
    queryset.update(year=1900)
    modeladmin.message_user(request, "Dated back.")


@admin.register(Album)
class AlbumAdmin(ModelAdmin):
    list_display = ["title", "year", "artist"]
    list_editable = ["year"]
    list_filter = ["year", "artist"]
    search_fields = ["title", "artist__name"]
    autocomplete_fields = ["artist"]
    actions = [date_back]
    save_as = True
