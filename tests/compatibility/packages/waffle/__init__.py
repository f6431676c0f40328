title = "django-waffle"
requires = ["django-waffle"]
apps = ["waffle"]
middleware = ["waffle.middleware.WaffleMiddleware"]
