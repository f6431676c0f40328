"""The settings that django-simple-history's script for its tests has."""

from runtests import get_default_settings

globals().update(get_default_settings())
