from vinyl.web import path

from . import views

app_name = "records"

urlpatterns = [
    path("albums/", views.album_list, name="albums"),
    path("albums/<slug:slug>/", views.album_detail, name="album"),
    path("albums/<slug:slug>/cover/", views.album_cover, name="cover"),
    path("albums/<slug:slug>/wish/", views.wish, name="wish"),
    path("albums/<slug:slug>/unwish/", views.unwish, name="unwish"),
    path("artists/<slug:slug>/", views.artist_detail, name="artist"),
    path("wishes/", views.WishList.as_view(), name="wishes"),
    path("live/", views.Live.as_view(), name="live"),
    path("live/reviews/", views.live_reviews, name="live-reviews"),
    path("api/albums/<int:pk>/", views.album_json, name="album-json"),
]
