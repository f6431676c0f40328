"""
Which of Django's settings have an effect in vinyl.web, and what to do about the others.

A setting has an effect (Django's own code reads it, or vinyl's in its place), has one
if a certain middleware of vinyl is listed, or has none. `vinyl check` reports a setting
without effect.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import global_settings, settings
from django.utils.module_loading import import_string

from vinyl.records import NamedTuple

__all__ = ["COUNT", "NEED_MIDDLEWARE", "NO_EFFECT", "set_in_vain"]

COUNT = frozenset(
    """
    ABSOLUTE_URL_OVERRIDES ADMINS ALLOWED_HOSTS APPEND_SLASH AUTHENTICATION_BACKENDS
    AUTH_PASSWORD_VALIDATORS AUTH_USER_MODEL CACHES DATABASES DATABASE_ROUTERS
    DATA_UPLOAD_MAX_MEMORY_SIZE DATA_UPLOAD_MAX_NUMBER_FIELDS
    DATA_UPLOAD_MAX_NUMBER_FILES DEBUG DEBUG_PROPAGATE_EXCEPTIONS DEFAULT_AUTO_FIELD
    DEFAULT_EXCEPTION_REPORTER DEFAULT_EXCEPTION_REPORTER_FILTER DEFAULT_FROM_EMAIL
    DEFAULT_INDEX_TABLESPACE DEFAULT_TABLESPACE FILE_UPLOAD_DIRECTORY_PERMISSIONS
    FILE_UPLOAD_HANDLERS FILE_UPLOAD_MAX_MEMORY_SIZE FILE_UPLOAD_PERMISSIONS
    FILE_UPLOAD_TEMP_DIR FIXTURE_DIRS FORCE_SCRIPT_NAME FORMS_URLFIELD_ASSUME_HTTPS
    FORM_RENDERER INSTALLED_APPS INTERNAL_IPS LOGGING LOGGING_CONFIG LOGIN_REDIRECT_URL
    LOGIN_URL LOGOUT_REDIRECT_URL MAILERS MANAGERS MEDIA_ROOT MEDIA_URL MIDDLEWARE
    MIGRATION_MODULES PASSWORD_HASHERS PASSWORD_RESET_TIMEOUT SECRET_KEY
    SECRET_KEY_FALLBACKS SERVER_EMAIL SIGNED_COOKIE_LEGACY_SALT_FALLBACK SIGNING_BACKEND
    SILENCED_SYSTEM_CHECKS STATICFILES_DIRS STATICFILES_FINDERS STATIC_ROOT STATIC_URL
    STORAGES TASKS TEMPLATES TEST_NON_SERIALIZED_APPS TEST_RUNNER URLIZE_ASSUME_HTTPS
    USE_BLANK_CHOICE_DASH USE_X_FORWARDED_PORT

    EMAIL_BACKEND EMAIL_HOST EMAIL_HOST_PASSWORD EMAIL_HOST_USER EMAIL_PORT
    EMAIL_SSL_CERTFILE EMAIL_SSL_KEYFILE EMAIL_SUBJECT_PREFIX EMAIL_TIMEOUT
    EMAIL_USE_LOCALTIME EMAIL_USE_SSL EMAIL_USE_TLS

    DATETIME_FORMAT DATETIME_INPUT_FORMATS DATE_FORMAT DATE_INPUT_FORMATS
    DECIMAL_SEPARATOR FIRST_DAY_OF_WEEK FORMAT_MODULE_PATH LANGUAGES LANGUAGES_BIDI
    LANGUAGE_CODE LOCALE_PATHS MONTH_DAY_FORMAT NUMBER_GROUPING SHORT_DATETIME_FORMAT
    SHORT_DATE_FORMAT THOUSAND_SEPARATOR TIME_FORMAT TIME_INPUT_FORMATS TIME_ZONE
    USE_I18N USE_THOUSAND_SEPARATOR USE_TZ YEAR_MONTH_FORMAT
    """.split()
)

NEED_MIDDLEWARE = {
    "vinyl.web.security.SecurityMiddleware": frozenset(
        """
        DISALLOWED_USER_AGENTS PREPEND_WWW SECURE_CONTENT_TYPE_NOSNIFF
        SECURE_CROSS_ORIGIN_OPENER_POLICY SECURE_CSP SECURE_CSP_REPORT_ONLY
        SECURE_HSTS_INCLUDE_SUBDOMAINS SECURE_HSTS_PRELOAD SECURE_HSTS_SECONDS
        SECURE_PROXY_SSL_HEADER SECURE_REDIRECT_EXEMPT SECURE_REFERRER_POLICY
        SECURE_SSL_HOST SECURE_SSL_REDIRECT USE_X_FORWARDED_HOST X_FRAME_OPTIONS
        """.split()
    ),
    "vinyl.web.csrf.CSRFMiddleware": frozenset(
        ["CSRF_FAILURE_VIEW", "CSRF_TRUSTED_ORIGINS"]
    ),
    "vinyl.web.sessions.SessionMiddleware": frozenset(
        """
        SESSION_CACHE_ALIAS SESSION_COOKIE_AGE SESSION_COOKIE_DOMAIN
        SESSION_COOKIE_HTTPONLY SESSION_COOKIE_NAME SESSION_COOKIE_PATH
        SESSION_COOKIE_SAMESITE SESSION_COOKIE_SECURE SESSION_ENGINE
        SESSION_EXPIRE_AT_BROWSER_CLOSE SESSION_FILE_PATH SESSION_SAVE_EVERY_REQUEST
        SESSION_SERIALIZER
        """.split()
    ),
    "vinyl.web.messages.MessagesMiddleware": frozenset(["MESSAGE_STORAGE"]),
    "django.middleware.cache.UpdateCacheMiddleware": frozenset(
        """
        CACHE_MIDDLEWARE_ALIAS CACHE_MIDDLEWARE_KEY_PREFIX CACHE_MIDDLEWARE_SECONDS
        """.split()
    ),
    "django.middleware.common.BrokenLinkEmailsMiddleware": frozenset(
        ["IGNORABLE_404_URLS"]
    ),
    "vinyl.web.i18n.LocaleMiddleware": frozenset(
        """
        LANGUAGE_COOKIE_AGE LANGUAGE_COOKIE_DOMAIN LANGUAGE_COOKIE_HTTPONLY
        LANGUAGE_COOKIE_NAME LANGUAGE_COOKIE_PATH LANGUAGE_COOKIE_SAMESITE
        LANGUAGE_COOKIE_SECURE
        """.split()
    ),
}


class Vain(NamedTuple):
    """Why a setting has no effect, and what to do instead."""

    reason: str
    hint: str


CSRF = Vain(
    "cross-site requests are recognized by the browser's headers, without a cookie or "
    "a token",
    "Remove it.",
)

NO_EFFECT = {
    "CSRF_COOKIE_AGE": CSRF,
    "CSRF_COOKIE_DOMAIN": CSRF,
    "CSRF_COOKIE_HTTPONLY": CSRF,
    "CSRF_COOKIE_NAME": CSRF,
    "CSRF_COOKIE_PATH": CSRF,
    "CSRF_COOKIE_SAMESITE": CSRF,
    "CSRF_COOKIE_SECURE": CSRF,
    "CSRF_HEADER_NAME": CSRF,
    "CSRF_USE_SESSIONS": CSRF,
    "DEFAULT_CHARSET": Vain(
        "responses are encoded in UTF-8",
        "For another charset, encode the content and name the charset in media_type.",
    ),
    "WSGI_APPLICATION": Vain(
        "the site is served by ASGI", "Set ASGI_APPLICATION, or remove it."
    ),
}


def set_in_vain(middleware: list[type]) -> Iterator[tuple[str, Vain]]:
    """
    Yield the settings that have no effect although the project has changed them from
    Django's default, each with the reason.

    Args:
        middleware: The classes that `settings.MIDDLEWARE` lists.

    Never switches.
    """
    changed = [
        name
        for name in dir(global_settings)
        if name.isupper()
        and settings.is_overridden(name)
        and getattr(settings, name) != getattr(global_settings, name)
    ]
    for name in changed:
        if name in NO_EFFECT:
            yield name, NO_EFFECT[name]
    for path, names in NEED_MIDDLEWARE.items():
        needed = import_string(path)
        if not any(issubclass(cls, needed) for cls in middleware):
            reason = f"settings.MIDDLEWARE does not list {path!r}"
            vain = Vain(reason, f"List {path!r}, or remove the setting.")
            yield from ((name, vain) for name in changed if name in names)
