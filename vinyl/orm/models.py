"""What model modules import: Django's `django.db.models`, under vinyl's roof."""

from django.db.models import *  # noqa: F403
from django.db.models import __all__ as __all__
