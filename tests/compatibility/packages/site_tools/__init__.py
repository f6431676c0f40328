title = "django-hosts, crum, flags, guid, user-visit, sesame, haystack, watson, sequences, zen-queries, concurrency, multiselectfield, jsonform, summernote, drf-writable-nested, huey"
requires = [
    "django-hosts",
    "django-crum",
    "django-flags",
    "django-guid",
    "django-user-visit",
    "django-sesame",
    "django-haystack",
    "django-watson",
    "django-sequences",
    "django-zen-queries",
    "django-concurrency",
    "django-multiselectfield",
    "django-jsonform",
    "django-summernote",
    "drf-writable-nested",
    "huey",
]
apps = [
    "django.contrib.admin",
    "django_hosts",
    "crum",
    "flags",
    "django_guid",
    "user_visit",
    "haystack",
    "watson",
    "sequences.apps.SequencesConfig",
    "concurrency",
    "multiselectfield",
    "django_jsonform",
    "django_summernote",
    "rest_framework",
    "huey.contrib.djhuey",
]
middleware = [
    "django_hosts.middleware.HostsRequestMiddleware",
    "django_guid.middleware.guid_middleware",
    "crum.CurrentRequestUserMiddleware",
    "user_visit.middleware.UserVisitMiddleware",
    "sesame.middleware.AuthenticationMiddleware",
    "watson.middleware.SearchContextMiddleware",
]
settings = {
    "AUTHENTICATION_BACKENDS": [
        "django.contrib.auth.backends.ModelBackend",
        "sesame.backends.ModelBackend",
    ],
    "DEFAULT_HOST": "www",
    "DJANGO_GUID": {"VALIDATE_GUID": False},
    "FLAGS": {"NEW_SHOP": [], "FOR_BETA": [("parameter", "beta=yes")]},
    "HAYSTACK_CONNECTIONS": {
        "default": {"ENGINE": "haystack.backends.simple_backend.SimpleEngine"}
    },
    "HUEY": {"immediate": True},
    "ROOT_HOSTCONF": f"{__name__}.hosts",
}
