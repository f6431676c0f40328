import re

from django.contrib import admin
from django.http import HttpResponse
from django.urls import path
from import_export.formats.base_formats import CSV

from tests.compatibility.packages.import_export.admin import AlbumResource
from tests.compatibility.shop.models import Album, Artist, stock_the_shop


def export(request):
    return HttpResponse(AlbumResource().export().csv, content_type="text/csv")


urlpatterns = [path("admin/", admin.site.urls), path("export/", export)]
ALBUMS = "/admin/shop/album/"


def step_export_in_a_view(site):
    stock_the_shop()
    assert len(site.ok("/export/", "Pastel Blues").text.splitlines()) == 4


def step_list(site):
    site.login()
    site.ok(ALBUMS, f"{ALBUMS}import/", f"{ALBUMS}export/")


def step_export(site):
    site.ok(f"{ALBUMS}export/", "Format")
    fields = dict.fromkeys(("id", "title", "year", "artist"), "on")
    data = {
        "format": "0",
        "resource": "",
        **{f"albumresource_{k}": v for k, v in fields.items()},
    }
    response = site.post(f"{ALBUMS}export/", data=data)
    assert response.status_code == 200
    assert "attachment" in response.headers["Content-Disposition"], response.text[:900]
    assert "Pastel Blues" in response.text


def step_import(site):
    site.ok(f"{ALBUMS}import/", "import_file")
    artist = Artist.objects.get().pk
    csv = f"id,title,year,artist\n,New,1970,{artist}\n"
    response = site.post(
        f"{ALBUMS}import/",
        data={"format": "0", "resource": ""},
        files={"import_file": ("albums.csv", csv.encode(), CSV.CONTENT_TYPE)},
    )
    assert "Confirm import" in response.text, response.text[:900]
    assert not Album.objects.filter(title="New").exists()
    hidden = re.findall(
        r'<input type="hidden" name="(\w+)" value="([^"]*)"', response.text
    )
    response = site.post(f"{ALBUMS}process_import/", data=dict(hidden))
    assert response.status_code == 302, response.text[:900]
    assert Album.objects.filter(title="New", year=1970).exists()
    site.ok(ALBUMS, "Import finished")


def step_invalid_import(site):
    files = {
        "import_file": ("albums.csv", b"id,title,year,artist\n,New,x,1\n", "text/csv")
    }
    data = {"format": "0", "resource": ""}
    response = site.post(f"{ALBUMS}import/", data=data, files=files)
    assert response.status_code == 200
    assert "Confirm import" not in response.text
