title = "djangorestframework-simplejwt, djoser, django-oauth-toolkit"
requires = ["djangorestframework-simplejwt", "djoser", "django-oauth-toolkit"]
apps = ["rest_framework", "rest_framework_simplejwt", "djoser", "oauth2_provider"]
middleware = ["oauth2_provider.middleware.OAuth2TokenMiddleware"]
settings = {
    "AUTHENTICATION_BACKENDS": [
        "django.contrib.auth.backends.ModelBackend",
        "oauth2_provider.backends.OAuth2Backend",
    ],
    "DJOSER": {"SEND_ACTIVATION_EMAIL": False},
    "LOGIN_URL": "/login/",
    "OAUTH2_PROVIDER": {"SCOPES": {"read": "Read"}, "PKCE_REQUIRED": False},
    "REST_FRAMEWORK": {
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "oauth2_provider.contrib.rest_framework.OAuth2Authentication",
            "rest_framework_simplejwt.authentication.JWTAuthentication",
        ],
    },
}
