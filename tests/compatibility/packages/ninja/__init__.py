title = "django-ninja"
requires = ["django-ninja", "pydantic"]
