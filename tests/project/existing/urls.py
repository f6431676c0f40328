from django.urls import path

from . import more_views, views

urlpatterns = [
    path("albums/", views.albums),
    path("albums/<int:pk>/", views.album),
    path("albums/<int:pk>/a-names/", more_views.album_by_a_names),
    path("albums/<int:pk>/thread/", more_views.album_in_a_thread),
    path("albums/<int:pk>/non-atomic/", more_views.non_atomic_album),
    path("albums/<int:pk>/loop-threads/", more_views.loop_threads),
    path("albums/<int:pk>/own-thread/", more_views.own_thread),
    path("release/", views.release),
    path("release/failing/", more_views.failing_release),
    path("release/endless/", more_views.endless_release),
    path("unawaited/call/", more_views.unawaited_call),
    path("unawaited/queryset/", more_views.unawaited_queryset),
    path("unawaited/relation/", more_views.unawaited_relation),
    path("unawaited/save/", more_views.unawaited_save),
    path("visits/", more_views.visits),
]
