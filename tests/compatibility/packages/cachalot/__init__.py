title = "django-cachalot"
requires = ["django-cachalot"]
apps = ["cachalot"]
settings = {"CACHALOT_DATABASES": ["default"]}
needs = "`CACHALOT_DATABASES`, which names your databases; by default it caches for Django's own backends only."
