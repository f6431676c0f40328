title = "django-debug-toolbar"
requires = ["django-debug-toolbar"]
apps = ["debug_toolbar"]
middleware = ["debug_toolbar.middleware.DebugToolbarMiddleware"]
settings = {
    "DEBUG": True,
    "INTERNAL_IPS": ["127.0.0.1"],
}
