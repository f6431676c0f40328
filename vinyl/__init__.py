"""Vinyl: Django's ORM, natively async, in a Django-shaped full stack."""

__version__ = "0.1.0"
