title = "django-silk"
requires = ["django-silk"]
apps = ["silk"]
middleware = ["silk.middleware.SilkyMiddleware"]
known = {
    "step_async_view": (
        "it keeps the request in a `threading.local` of the thread of its middleware, and "
        "so does not see the queries of async views, which have another."
    ),
}
needs = (
    "in the bridge and in `vinyl.web`, one request at a time, as in development: there "
    "all requests share its `threading.local`."
)
