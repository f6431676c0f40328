title = "django-silk"
requires = ["django-silk"]
apps = ["silk"]
middleware = ["silk.middleware.SilkyMiddleware"]
