title = "models of django-cte, dirtyfields, activity-stream, cleanup, easy-thumbnails, rules, celery-beat, celery-results, mailer"
requires = [
    "django-cte",
    "django-dirtyfields",
    "django-activity-stream",
    "django-cleanup",
    "easy-thumbnails",
    "rules",
    "django-celery-beat",
    "django-celery-results",
    "django-mailer",
]
apps = [
    "actstream",
    "easy_thumbnails",
    "rules",
    "django_celery_beat",
    "django_celery_results",
    "mailer",
    "django_cleanup",
]
settings = {
    "AUTHENTICATION_BACKENDS": [
        "rules.permissions.ObjectPermissionBackend",
        "django.contrib.auth.backends.ModelBackend",
    ],
    "MAILER_EMAIL_BACKEND": "django.core.mail.backends.locmem.EmailBackend",
    "SITE_ID": 1,
}
