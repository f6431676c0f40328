"""
Templates that fetch for a whole list at once: `VINYL["TEMPLATE_FETCH_MODE"]`.

With "peers", on Django 6.1 and later, the instances of one queryset know each other,
and a relation that a template touches is fetched for all of them in one query. It is
one of Django's fetch modes, the default of all querysets. Code outside of templates
still fetches for one instance.
"""

from __future__ import annotations

from typing import Any

import django
from django.db.models import query

from vinyl.bridge.patching import getattr_or_refuse
from vinyl.conf import vinyl_settings
from vinyl.orm import observe

__all__ = ["are_supported", "fetches_one", "read_settings"]

# The first Django that has fetch modes.
SINCE = (6, 1)

if django.VERSION >= SINCE:
    from django.db.models.fetch_modes import FETCH_ONE, FETCH_PEERS, FetchMode

    class FetchPeersInTemplates(FetchMode):
        """Fetches for all peers in a template, and for one instance elsewhere."""

        __slots__ = ()

        track_peers = True
        # On the event loop each fetch is awaited, by code and not by a template.
        awaits_peers = False

        def fetch(self, fetcher: Any, instance: Any) -> None:
            mode = FETCH_PEERS if observe.callsite.in_template() else FETCH_ONE
            mode.fetch(fetcher, instance)

        def __reduce__(self) -> str:
            # Instances are pickled with their mode.
            return "PEERS_IN_TEMPLATES"

    PEERS_IN_TEMPLATES = FetchPeersInTemplates()


def are_supported() -> bool:
    """Whether this Django has fetch modes. Never switches."""
    return django.VERSION >= SINCE


def fetches_one(instance: Any) -> bool:
    """
    Whether an attribute of *instance* that is awaited is fetched for this instance
    alone, as its fetch mode says. Never switches.
    """
    if not are_supported():
        return True
    mode = instance._state.fetch_mode
    return mode is FETCH_ONE or mode is PEERS_IN_TEMPLATES


def read_settings() -> None:
    """
    Put `VINYL["TEMPLATE_FETCH_MODE"]` into effect for querysets made from now on.
    Without fetch modes in Django, it has no effect. Never switches.
    """
    if not are_supported():
        return
    default = getattr_or_refuse(query, "django.db.models.query", "DEFAULT_FETCH_MODE")
    peers = vinyl_settings.TEMPLATE_FETCH_MODE == "peers"
    # A default that something else has set stays.
    if default in (FETCH_ONE, PEERS_IN_TEMPLATES):
        query.DEFAULT_FETCH_MODE = PEERS_IN_TEMPLATES if peers else FETCH_ONE
