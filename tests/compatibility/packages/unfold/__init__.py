title = "django-unfold"
requires = ["django-unfold"]
apps = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "django.contrib.admin",
]
