"""
Vinyl: Django's ORM, natively async, in a Django-shaped full stack.

exceptions.py     every error that vinyl raises
conf.py           `settings.VINYL` as one typed object
records.py        named tuples that are quick to define
databases.py      DATABASES from a URL, for settings
bridge/           START HERE: sync code that waits on the event loop
orm/              Django's ORM, awaitable
web/              the web layer, on Starlette
cli.py            the command `vinyl`
explanations.py   what it says of common mistakes
__main__.py       `python -m vinyl`
pytest_plugin/    fixtures, and errors for calls that nobody awaits
mypy_plugin.py    the plugin of django-stubs for mypy, with vinyl's types
mypy_awaits.py    a forgotten `await`, which the plugin reports
"""

__version__ = "0.1.0"

# The documentation of the latest release, to which errors and checks link.
DOCUMENTATION = "https://vinyl-web.readthedocs.io/en/stable"
