requires = ["adrf", "djangorestframework"]
apps = ["adrf", "rest_framework"]
settings = {
    "REST_FRAMEWORK": {
        "DEFAULT_AUTHENTICATION_CLASSES": [
            "rest_framework.authentication.SessionAuthentication"
        ],
    },
}
