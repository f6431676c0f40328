from tests.benchmarks.http.contestants import config

SECRET_KEY = "a key for benchmarks"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["tests.benchmarks.http.contestants.django"]
MIDDLEWARE = []
if config.MIDDLEWARE:
    INSTALLED_APPS += [
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django.contrib.messages",
    ]
    MIDDLEWARE = [
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ]
ROOT_URLCONF = "tests.benchmarks.http.contestants.django.urls"
TEMPLATES = [
    # Django's own template language takes longer than Jinja2.
    {
        "BACKEND": "django.template.backends.jinja2.Jinja2",
        "DIRS": [config.TEMPLATES],
    },
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": config.DATABASE,
        "USER": config.USER,
        "PASSWORD": config.PASSWORD,
        "HOST": config.HOST,
        "PORT": config.PORT,
        # Each request has a thread, which takes a connection from this pool for its
        # length. Without the pool each request would connect anew.
        "OPTIONS": {
            "pool": {"min_size": config.POOL_SIZE, "max_size": config.POOL_SIZE}
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
