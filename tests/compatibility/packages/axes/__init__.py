title = "django-axes"
requires = ["django-axes"]
apps = ["axes"]
middleware = ["axes.middleware.AxesMiddleware"]
settings = {
    "AUTHENTICATION_BACKENDS": [
        "axes.backends.AxesStandaloneBackend",
        "django.contrib.auth.backends.ModelBackend",
    ],
    "AXES_FAILURE_LIMIT": 3,
}
known = {
    "step_lockout_of_an_async_view": (
        "its backend has no `aauthenticate()`, which Django calls in async views."
    ),
}
