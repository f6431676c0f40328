import os
from contextlib import contextmanager

title = "django-csp, maintenance-mode, impersonate, structlog, health-check, components, template-partials, social-auth, anymail, rest-knox, dj-rest-auth, drf-nested-routers, admin-interface"
requires = [
    "django-csp",
    "django-maintenance-mode",
    "django-impersonate",
    "django-structlog",
    "django-health-check",
    "django-components",
    "django-template-partials",
    "social-auth-app-django",
    "django-anymail",
    "django-rest-knox",
    "dj-rest-auth",
    "drf-nested-routers",
    "django-admin-interface",
]
apps = [
    "admin_interface",
    "colorfield",
    "django.contrib.admin",
    "maintenance_mode",
    "impersonate",
    "django_structlog",
    "health_check",
    "django_components",
    "template_partials",
    "social_django",
    "anymail",
    "rest_framework",
    "knox",
    "rest_framework.authtoken",
    "dj_rest_auth",
]
middleware = [
    "csp.middleware.CSPMiddleware",
    "maintenance_mode.middleware.MaintenanceModeMiddleware",
    "impersonate.middleware.ImpersonateMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "social_django.middleware.SocialAuthExceptionMiddleware",
]
settings = {
    "ANYMAIL_DEBUG_API_REQUESTS": True,
    "AUTHENTICATION_BACKENDS": [
        "django.contrib.auth.backends.ModelBackend",
        "social_core.backends.github.GithubOAuth2",
    ],
    "BASE_DIR": "/nonexistent",
    "COMPONENTS": {"autodiscover": False, "dirs": []},
    "CONTENT_SECURITY_POLICY": {"DIRECTIVES": {"default-src": ["'self'"]}},
    "MAINTENANCE_MODE_STATE_BACKEND": "maintenance_mode.backends.CacheBackend",
    "SOCIAL_AUTH_GITHUB_KEY": "a key",
    "SOCIAL_AUTH_GITHUB_SECRET": "a secret",
    "X_FRAME_OPTIONS": "SAMEORIGIN",
}


@contextmanager
def around(values):
    # django-maintenance-mode imports the module that this names.
    os.environ["DJANGO_SETTINGS_MODULE"] = __name__
    yield
