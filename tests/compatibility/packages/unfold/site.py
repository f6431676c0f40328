from django.contrib import admin
from django.urls import path

from tests.compatibility.admin_steps import *

urlpatterns = [path("admin/", admin.site.urls)]
