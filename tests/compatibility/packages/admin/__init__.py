title = "Django's admin"
requires: list[str] = []
apps = ["django.contrib.admin", "django.contrib.admindocs"]
