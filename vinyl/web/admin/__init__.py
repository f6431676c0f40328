"""
The admin: Django's, natively async, with pages of vinyl's own.

apps.py        the app config: `"vinyl.web.admin"` in INSTALLED_APPS
sites.py       AdminSite: login, index, and what every page knows
options.py     ModelAdmin and the inlines
awaiting.py    what may be `async def`: the rows of the admin
changelist.py  the rows of a change list
widgets.py     the fields of forms, without scripts
static.py      vinyl's static files in place of those of Django's pages
tags.py        what the templates call
checks.py      system checks

What the pages do is Django's `django.contrib.admin`, run in the bridge; how they look
is in templates/ and static/. An existing `admin.py` serves unchanged.
"""

from django.contrib.admin import (
    HORIZONTAL,
    VERTICAL,
    AllValuesFieldListFilter,
    BooleanFieldListFilter,
    ChoicesFieldListFilter,
    DateFieldListFilter,
    EmptyFieldListFilter,
    FieldListFilter,
    ListFilter,
    RelatedFieldListFilter,
    RelatedOnlyFieldListFilter,
    ShowFacets,
    SimpleListFilter,
    action,
    autodiscover,
    display,
    register,
    site,
)

from vinyl.web.admin.options import ModelAdmin, StackedInline, TabularInline
from vinyl.web.admin.sites import AdminSite

__all__ = [
    "HORIZONTAL",
    "VERTICAL",
    "AdminSite",
    "AllValuesFieldListFilter",
    "BooleanFieldListFilter",
    "ChoicesFieldListFilter",
    "DateFieldListFilter",
    "EmptyFieldListFilter",
    "FieldListFilter",
    "ListFilter",
    "ModelAdmin",
    "RelatedFieldListFilter",
    "RelatedOnlyFieldListFilter",
    "ShowFacets",
    "SimpleListFilter",
    "StackedInline",
    "TabularInline",
    "action",
    "autodiscover",
    "display",
    "register",
    "site",
]
