from contextlib import contextmanager

from tests.compatibility.packages.redis_cache import around as with_redis

title = "django-cacheops"
requires = ["django-cacheops"]
apps = ["cacheops"]
settings = {"CACHEOPS": {"shop.*": {"ops": "all", "timeout": 60}}}


@contextmanager
def around(values):
    with with_redis(values):
        values["CACHEOPS_REDIS"] = values["CACHES"]["default"]["LOCATION"]
        yield
