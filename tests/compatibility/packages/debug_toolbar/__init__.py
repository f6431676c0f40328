title = "django-debug-toolbar"
requires = ["django-debug-toolbar"]
apps = ["debug_toolbar"]
middleware = ["debug_toolbar.middleware.DebugToolbarMiddleware"]
settings = {
    "DEBUG": True,
    "INTERNAL_IPS": ["127.0.0.1"],
}
known = dict.fromkeys(
    ("step_plain_view", "step_async_view"),
    "its SQL panel follows the connection of its own middleware, and views use others. Vinyl logs [queries](../howto/observe-queries.md) in every mode, and `vinyl.web` has [a toolbar](../topics/toolbar.md).",
)
