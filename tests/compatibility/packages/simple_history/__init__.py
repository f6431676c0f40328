title = "django-simple-history"
requires = ["django-simple-history"]
apps = ["simple_history"]
middleware = ["simple_history.middleware.HistoryRequestMiddleware"]
