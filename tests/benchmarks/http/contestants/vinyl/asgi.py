import os

from vinyl.web import get_asgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = (
    "tests.benchmarks.http.contestants.vinyl.settings"
)

application = get_asgi_application()
