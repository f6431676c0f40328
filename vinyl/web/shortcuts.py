"""Django's shortcuts, dual-mode wherever they are imported from."""

from __future__ import annotations

from django import shortcuts
from django.shortcuts import aget_list_or_404, aget_object_or_404

from vinyl.orm import use_driver

__all__ = [
    "aget_list_or_404",
    "aget_object_or_404",
    "get_list_or_404",
    "get_object_or_404",
]

get_object_or_404 = use_driver(shortcuts.get_object_or_404)
get_list_or_404 = use_driver(shortcuts.get_list_or_404)
