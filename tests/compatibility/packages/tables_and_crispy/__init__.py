title = "django-filter, django-tables2, django-crispy-forms"
requires = [
    "django-filter",
    "django-tables2",
    "django-crispy-forms",
    "crispy-bootstrap5",
]
apps = ["django_filters", "django_tables2", "crispy_forms", "crispy_bootstrap5"]
settings = {
    "CRISPY_ALLOWED_TEMPLATE_PACKS": "bootstrap5",
    "CRISPY_TEMPLATE_PACK": "bootstrap5",
}
