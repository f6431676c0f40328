from tests.benchmarks.http.contestants import config

SECRET_KEY = "a key for benchmarks"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = [
    "vinyl.orm",
    "vinyl.web",
    "tests.benchmarks.http.contestants.vinyl",
]
MIDDLEWARE = []
if config.MIDDLEWARE:
    INSTALLED_APPS += ["django.contrib.auth", "django.contrib.contenttypes"]
    MIDDLEWARE = [
        "vinyl.web.security.SecurityMiddleware",
        "vinyl.web.csrf.CSRFMiddleware",
    ]
ROOT_URLCONF = "tests.benchmarks.http.contestants.vinyl.urls"
TEMPLATES = [
    {"BACKEND": "vinyl.web.templating.Jinja2", "DIRS": [config.TEMPLATES]},
]
DATABASES = {
    "default": {
        "ENGINE": "vinyl.orm.backends.postgresql",
        "NAME": config.DATABASE,
        "USER": config.USER,
        "PASSWORD": config.PASSWORD,
        "HOST": config.HOST,
        "PORT": config.PORT,
        "OPTIONS": {
            "pool": {"min_size": config.POOL_SIZE, "max_size": config.POOL_SIZE}
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
