"""
The admin: Django's, natively async, with vinyl's own pages.

apps.py        the app config: `"vinyl.web.admin"` in INSTALLED_APPS
sites.py       AdminSite: the registered models, and the context of every page
options.py     ModelAdmin and the inlines
awaiting.py    patches for methods that are `async def`
cards.py       what a project shows on the first page
changelist.py  the rows of a change list
columns.py     columns that the visitor hides
counting.py    counts up to a limit
seeking.py     pages by key
peers.py       relations that columns read, fetched for all rows
crowds.py      relations to many that columns read, counted and fetched for all rows
periods.py     the links of `date_hierarchy`
listing.py     the options of ModelAdmin that concern its change list
databases.py   the database of the objects, and transactions there
deletion.py    what a deletion includes, counted
cascades.py    large deletions in batches
exporting.py   the rows of a list as CSV and JSON
tables.py      files of CSV, read and checked
cells.py       the fields that check the cells of an import
column_checks.py system checks for the columns of exports and imports
outcome.py     what becomes of the rows of an import
importing.py   what the rows of a table add and change
import_page.py the page of an import
progress.py    actions that show their progress
actions.py     the action that deletes
ranges.py      filters that are typed: ranges, and parts of texts
filters.py     Django's filters with a bounded number of choices
facets.py      the counts of their choices
indexes.py     fields that an index begins with
keys.py        keys that somebody has typed or sent
related.py     the fields for related objects
completion.py  what these complete, and the page to search without scripts
popups.py      what windows for related objects answer
editing.py     the pages that save, without losing what was typed
conflicts.py   lost updates, detected
interrupted.py posts that wait for a login or the database
reauthentication.py the password once more, before what is dangerous
audit.py       the log of changes, with values
values.py      values of fields as short texts
violations.py  violated constraints, in words
held.py        forms that are shown again and not saved
widgets.py     the fields of forms, without scripts
preferences.py what a visitor has arranged: colours, folds, favourites, columns
foreign.py     templates of packages in Django's language, and vinyl's in their pages
search.py      the search over all models
links.py       the links of Django's views and widgets, cached
static.py      vinyl's static files in place of those of Django's pages
tabs.py        fieldsets and inlines behind tabs
tags.py        functions for the templates
throttle.py    limits for failed logins
checks.py      system checks
engines.py     a system check for the order of the template engines
overrides.py   system checks for the templates that a project replaces

The views are those of `django.contrib.admin`, run in the bridge; the pages are in
templates/ and static/. An existing `admin.py` works unchanged.
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

from vinyl.web.admin.cards import Card, ListCard, TemplateCard
from vinyl.web.admin.options import ModelAdmin, StackedInline, TabularInline
from vinyl.web.admin.progress import Progress
from vinyl.web.admin.ranges import RangeFilter, TextFilter
from vinyl.web.admin.sites import AdminSite

__all__ = [
    "HORIZONTAL",
    "VERTICAL",
    "AdminSite",
    "AllValuesFieldListFilter",
    "BooleanFieldListFilter",
    "Card",
    "ChoicesFieldListFilter",
    "DateFieldListFilter",
    "EmptyFieldListFilter",
    "FieldListFilter",
    "ListCard",
    "ListFilter",
    "ModelAdmin",
    "Progress",
    "RangeFilter",
    "RelatedFieldListFilter",
    "RelatedOnlyFieldListFilter",
    "ShowFacets",
    "SimpleListFilter",
    "StackedInline",
    "TabularInline",
    "TextFilter",
    "TemplateCard",
    "action",
    "autodiscover",
    "display",
    "register",
    "site",
]
