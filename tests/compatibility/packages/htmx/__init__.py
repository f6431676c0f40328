title = "django-htmx"
requires = ["django-htmx"]
apps = ["django_htmx"]
middleware = ["django_htmx.middleware.HtmxMiddleware"]
