title = "django-pghistory with its middleware, on django-pgtrigger"
requires = ["django-pghistory", "django-pgtrigger"]
databases = ["postgresql"]
apps = ["pgtrigger", "pghistory"]
middleware = ["pghistory.middleware.HistoryMiddleware"]
known = {
    f"step_{step}": (
        "async views and the middleware, which is in a thread, use different "
        'connections. Set `VINYL["DJANGO_HANDLER"]` to `"bridge"`.'
    )
    for step in (
        "history_names_url_and_user",
        "requests_at_the_same_time_keep_their_contexts",
    )
}
