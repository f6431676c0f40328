"""
What model modules import: Django's `django.db.models`, under vinyl's roof.

models.pyi has the types, which know what is dual-mode.
"""

from django.db.models import *  # noqa: F403
from django.db.models import Manager
from django.db.models import __all__ as _DJANGOS

from vinyl.bridge.calls import Dual as Dual

# For annotations, `albums: models.RelatedManager["Album"]`: Django makes the classes of
# related managers when they are needed, as subclasses of a manager's.
RelatedManager = ManyRelatedManager = Manager

__all__ = [*_DJANGOS, "Dual", "ManyRelatedManager", "RelatedManager"]
