title = "django-cors-headers, whitenoise"
requires = ["django-cors-headers", "whitenoise"]
apps = ["corsheaders"]
middleware = [
    "corsheaders.middleware.CorsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
]
settings = {
    "CORS_ALLOWED_ORIGINS": ["https://app.example.org"],
    "WHITENOISE_USE_FINDERS": True,
    "WHITENOISE_AUTOREFRESH": True,
}
web = {
    "MIDDLEWARE": [
        "vinyl.web.security.SecurityMiddleware",
        "vinyl.web.staticfiles.StaticFilesMiddleware",
        "vinyl.web.cors.CORSMiddleware",
    ],
    "DEBUG": True,
}
needs = (
    "in `vinyl.web`, `vinyl.web.cors.CORSMiddleware`, with the same settings, and "
    "`vinyl.web.staticfiles.StaticFilesMiddleware` in their places; a check names them."
)
