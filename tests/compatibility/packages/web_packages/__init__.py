title = "django-constance, django-ratelimit, django-otp, django-hijack, django-formtools, django-prometheus, django-extensions, django-widget-tweaks"
requires = [
    "django-constance",
    "django-ratelimit",
    "django-otp",
    "django-hijack",
    "django-formtools",
    "django-prometheus",
    "django-extensions",
    "django-widget-tweaks",
]
apps = [
    "constance",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "hijack",
    "formtools",
    "django_prometheus",
    "django_extensions",
    "widget_tweaks",
]
middleware = [
    "django_otp.middleware.OTPMiddleware",
    "hijack.middleware.HijackUserMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
settings = {
    "CONSTANCE_BACKEND": "constance.backends.database.DatabaseBackend",
    "CONSTANCE_CONFIG": {
        "GREETING": ("hello", "How to greet"),
        "OPEN": (False, "Whether the shop is open"),
    },
    "SILENCED_SYSTEM_CHECKS": ["django_ratelimit.E003", "django_ratelimit.W001"],
}
