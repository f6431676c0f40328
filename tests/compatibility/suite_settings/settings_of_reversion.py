"""django-reversion's settings for its tests, without the servers that they name."""

from test_project import settings

SQLITE = {"ENGINE": "django.db.backends.sqlite3"}

globals().update({name: getattr(settings, name) for name in dir(settings)})
DATABASES = {**settings.DATABASES, "postgres": SQLITE, "mysql": SQLITE}
