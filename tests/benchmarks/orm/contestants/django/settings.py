"""Of Django, vinyl and django-async-backend, by BENCH_ENGINE."""

import os
from typing import Any

from tests.benchmarks.orm.contestants import config

ENGINE = os.environ["BENCH_ENGINE"]
# Whose package is an app, for those that are not Django itself.
APP = {"vinyl": "vinyl.orm", "django_async_backend": "django_async_backend"}.get(
    ENGINE.partition(".")[0]
)

SECRET_KEY = "a key for benchmarks"
INSTALLED_APPS = ["tests.benchmarks.orm.contestants.django"]
if APP:
    INSTALLED_APPS.insert(0, APP)
VINYL = {"PLANS": os.environ.get("BENCH_PLANS") != "0"}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

options: dict[str, Any] = {}
if config.DATABASE == "sqlite":
    database: dict[str, Any] = {"ENGINE": f"{ENGINE}.sqlite3", "NAME": config.SQLITE}
    options["transaction_mode"] = "IMMEDIATE"
    options["init_command"] = "PRAGMA synchronous=NORMAL"
    options["timeout"] = 30
else:
    database = {
        "ENGINE": f"{ENGINE}.postgresql",
        "NAME": config.NAME,
        "USER": config.USER,
        "PASSWORD": config.PASSWORD,
        "HOST": config.HOST,
        "PORT": config.PORT,
    }
    if APP != "vinyl.orm":
        # Faster than its defaults, which prepare nothing.
        options["server_side_binding"] = True
        options["prepare_threshold"] = 5
if APP:
    options["pool"] = {"min_size": config.POOL_SIZE, "max_size": config.POOL_SIZE}
DATABASES = {"default": {**database, "OPTIONS": options}}
