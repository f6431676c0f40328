from django.contrib import admin
from django.urls import include, path

from tests.compatibility.admin_steps import *

urlpatterns = [
    path("admin/doc/", include("django.contrib.admindocs.urls")),
    path("admin/", admin.site.urls),
]
