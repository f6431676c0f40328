from contextlib import contextmanager

from tests.compatibility.packages.redis_cache import around as with_redis

title = "django-cacheops"
requires = ["django-cacheops"]
apps = ["cacheops"]
needs = "in async code, reading a cached query blocks the event loop while Redis answers, since the client of cacheops is sync. Use a Redis that is near."
settings = {"CACHEOPS": {"shop.*": {"ops": "all", "timeout": 60}}}


@contextmanager
def around(values):
    with with_redis(values):
        values["CACHEOPS_REDIS"] = values["CACHES"]["default"]["LOCATION"]
        yield
