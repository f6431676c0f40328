"""
Static files.

serving.py      serving static files and uploads, in development and in production
compression.py  compressed variants of static files, for collectstatic
"""

from vinyl.web.staticfiles.compression import (
    CompressedManifestStaticFilesStorage,
    CompressedStaticFilesStorage,
)
from vinyl.web.staticfiles.serving import (
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
