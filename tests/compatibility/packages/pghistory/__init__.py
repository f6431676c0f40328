title = "django-pghistory with its middleware, on django-pgtrigger"
requires = ["django-pghistory", "django-pgtrigger"]
databases = ["postgresql"]
apps = ["pgtrigger", "pghistory"]
middleware = ["pghistory.middleware.HistoryMiddleware"]
