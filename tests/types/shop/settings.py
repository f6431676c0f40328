"""The settings of the project, which the plugin of django-stubs reads."""

SECRET_KEY = "not secret"
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "vinyl.orm",
    "vinyl.web",
    "tests.types.shop.plain",
    "tests.types.shop.records",
]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = True
