requires = ["django-ninja", "pydantic"]
