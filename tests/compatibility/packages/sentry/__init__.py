from tests.compatibility.modes import VINYL_MIDDLEWARE

title = "Sentry (`send_default_pii`)"
requires = ["sentry-sdk"]

web = {
    "MIDDLEWARE": [
        *VINYL_MIDDLEWARE,
        "tests.compatibility.packages.sentry.site.user_middleware",
    ]
}
needs = "in `vinyl.web`, a middleware that calls `sentry_sdk.set_user()` for the user of an event."
