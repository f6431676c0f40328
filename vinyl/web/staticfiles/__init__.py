"""
Static files.

serving.py      static files during development and in production, uploads
compression.py  compressed variants of static files, for collectstatic
"""

from vinyl.web.staticfiles.serving import (
    CompressedManifestStaticFilesStorage,
    CompressedStaticFilesStorage,
    StaticFiles,
    StaticFilesMiddleware,
    serve,
    static,
)

__all__ = [
    "CompressedManifestStaticFilesStorage",
    "CompressedStaticFilesStorage",
    "StaticFiles",
    "StaticFilesMiddleware",
    "serve",
    "static",
]
