title = "django-allauth with MFA and headless"
requires = ["django-allauth[mfa,headless,socialaccount]"]
apps = [
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.github",
    "allauth.mfa",
    "allauth.headless",
    "allauth.usersessions",
    "django.contrib.humanize",
]
middleware = [
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
]
settings = {
    "AUTHENTICATION_BACKENDS": [
        "django.contrib.auth.backends.ModelBackend",
        "allauth.account.auth_backends.AuthenticationBackend",
    ],
    "ACCOUNT_EMAIL_VERIFICATION": "optional",
    "ACCOUNT_LOGIN_METHODS": {"username", "email"},
    "HEADLESS_FRONTEND_URLS": {},
    "LOGIN_REDIRECT_URL": "/home/",
    "MFA_SUPPORTED_TYPES": ["totp", "recovery_codes"],
    "SOCIALACCOUNT_PROVIDERS": {
        "github": {"APPS": [{"client_id": "id", "secret": "secret"}]}
    },
}
