from vinyl.web import path

from . import views

app_name = "records"

urlpatterns = [
    path("albums/", views.album_list, name="albums"),
    path("albums/<slug:slug>/", views.album_detail, name="album"),
    path("artists/<slug:slug>/", views.artist_detail, name="artist"),
    path("api/albums/<int:pk>/", views.album_json, name="album-json"),
]
