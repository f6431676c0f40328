import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager

title = "Redis: vinyl's backend, Django's, django-redis"
requires = ["django-redis", "redis"]
needs = (
    "`vinyl.orm.contrib.redis.RedisCache` waits on the event loop; Django's backend and "
    "django-redis wait in worker threads."
)


@contextmanager
def around(values):
    """A Redis for the site."""
    server = shutil.which("redis-server") or shutil.which("valkey-server")
    assert server, "This site needs redis-server or valkey-server."
    with tempfile.TemporaryDirectory(prefix="vinyl-redis-") as folder:
        path = f"{folder}/socket"
        process = subprocess.Popen(
            [server, "--port", "0", "--unixsocket", path, "--save", ""],
            stdout=subprocess.DEVNULL,
        )
        try:
            wait_for(path)
            values["CACHES"] = caches(f"unix://{path}", values["INSTALLED_APPS"])
            values["SESSION_ENGINE"] = "django.contrib.sessions.backends.cache"
            yield
        finally:
            process.terminate()
            process.wait()


def wait_for(path):
    import redis

    with redis.Redis(unix_socket_path=path) as client:
        for _ in range(100):
            try:
                return client.ping()
            except redis.ConnectionError:
                time.sleep(0.05)
    raise AssertionError("Redis has not started.")


def caches(url, apps):
    djangos = "django.core.cache.backends.redis.RedisCache"
    vinyls = "vinyl.orm.contrib.redis.RedisCache"
    backends = {
        "default": vinyls if "vinyl.orm" in apps else djangos,
        "djangos": djangos,
        "package": "django_redis.cache.RedisCache",
    }
    return {
        alias: {"BACKEND": backend, "LOCATION": url}
        for alias, backend in backends.items()
    }
