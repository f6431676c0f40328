title = "models of django-mptt, treebeard, polymorphic, taggit, model-utils, lifecycle, safedelete, ordered-model, solo, parler, modeltranslation, fsm-2, phonenumber-field, countries, reversion"
requires = [
    "django-mptt",
    "django-treebeard",
    "django-polymorphic",
    "django-taggit",
    "django-model-utils",
    "django-lifecycle",
    "django-safedelete",
    "django-ordered-model",
    "django-solo",
    "django-parler",
    "django-fsm-2",
    "django-phonenumber-field[phonenumbers]",
    "django-countries",
    "django-reversion",
    "django-modeltranslation",
]
apps = [
    "modeltranslation",
    "mptt",
    "treebeard",
    "polymorphic",
    "taggit",
    "safedelete",
    "ordered_model",
    "solo",
    "parler",
    "phonenumber_field",
    "django_countries",
    "reversion",
]
middleware = ["reversion.middleware.RevisionMiddleware"]
settings = {
    "LANGUAGE_CODE": "en",
    "LANGUAGES": [("en", "English"), ("de", "German")],
    "PARLER_LANGUAGES": {None: ({"code": "en"}, {"code": "de"})},
    "PHONENUMBER_DEFAULT_REGION": "DE",
}
