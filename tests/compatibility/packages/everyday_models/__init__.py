title = "models of django-tree-queries, imagekit, sorl-thumbnail, q2, compressor"
requires = [
    "django-tree-queries",
    "django-imagekit",
    "sorl-thumbnail",
    "django-q2",
    "django-compressor",
    "pillow",
]
apps = ["tree_queries", "imagekit", "sorl.thumbnail", "django_q", "compressor"]
settings = {
    "COMPRESS_ENABLED": True,
    "COMPRESS_ROOT": "/tmp",
    "Q_CLUSTER": {"name": "albums", "orm": "default", "timeout": 60, "retry": 90},
    "STATICFILES_FINDERS": [
        "django.contrib.staticfiles.finders.AppDirectoriesFinder",
        "compressor.finders.CompressorFinder",
    ],
    "THUMBNAIL_DEBUG": True,
}
