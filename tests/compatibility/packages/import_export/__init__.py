title = "django-import-export"
requires = ["django-import-export[xlsx]"]
apps = ["import_export", "django.contrib.admin"]
