"""`application` for a server, in the way and with the database of the environment."""

from __future__ import annotations

import os
from typing import Any

import django
from django.conf import settings

from tests.benchmarks.middleware.ways import settings_for, ways
from tests.compatibility.modes import application_of

way = ways(int(os.environ["BENCH_CONNECTIONS"]))[os.environ["BENCH_WAY"]]
settings.configure(**settings_for(way, os.environ["BENCH_URL"]))
django.setup()

application: Any
if way.threads:
    from django.core.wsgi import get_wsgi_application

    application = get_wsgi_application()
else:
    application = application_of(way.mode)
