requires = ["wagtail"]
apps = [
    # Of its search on PostgreSQL, as a check of Django 6.1 says.
    "django.contrib.postgres",
    "wagtail.contrib.forms",
    "wagtail.contrib.redirects",
    "wagtail.embeds",
    "wagtail.sites",
    "wagtail.users",
    "wagtail.snippets",
    "wagtail.documents",
    "wagtail.images",
    "wagtail.search",
    "wagtail.admin",
    "wagtail",
    "modelcluster",
    "taggit",
]
middleware = ["wagtail.contrib.redirects.middleware.RedirectMiddleware"]
settings = {
    # The pages inherit from a model that is made by migrations.
    "MIGRATION_MODULES": {"site": "tests.compatibility.packages.wagtail.migrations"},
    "WAGTAIL_SITE_NAME": "Shop",
    "WAGTAILADMIN_BASE_URL": "http://127.0.0.1",
    "WAGTAILDOCS_EXTENSIONS": ["txt"],
}
