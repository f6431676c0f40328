"""Of Django and of vinyl, by BENCH_ENGINE."""

import os
from typing import Any

from tests.benchmarks.orm.contestants import config

ENGINE = os.environ["BENCH_ENGINE"]
IS_VINYL = ENGINE.startswith("vinyl")

SECRET_KEY = "a key for benchmarks"
INSTALLED_APPS = ["tests.benchmarks.orm.contestants.django"]
if IS_VINYL:
    INSTALLED_APPS.insert(0, "vinyl.orm")
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
    if not IS_VINYL:
        # Faster than its defaults, which prepare nothing.
        options["server_side_binding"] = True
        options["prepare_threshold"] = 5
if IS_VINYL:
    options["pool"] = {"min_size": config.POOL_SIZE, "max_size": config.POOL_SIZE}
DATABASES = {"default": {**database, "OPTIONS": options}}
