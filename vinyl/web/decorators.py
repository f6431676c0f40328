"""
Django's decorators for views, for async and plain views: on functions and, with
`method_decorator`, on classes and methods.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from django.utils.decorators import method_decorator
from django.views.decorators import cache, gzip, http
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.clickjacking import (
    xframe_options_deny,
    xframe_options_exempt,
    xframe_options_sameorigin,
)
from django.views.decorators.common import no_append_slash
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import etag, last_modified, require_http_methods
from django.views.decorators.vary import vary_on_cookie, vary_on_headers

from vinyl.orm.contrib.view_decorators import patch_cache_page, patch_condition

__all__ = [
    "cache_control",
    "cache_page",
    "condition",
    "conditional_page",
    "csrf_exempt",
    "etag",
    "gzip_page",
    "last_modified",
    "method_decorator",
    "never_cache",
    "no_append_slash",
    "require_GET",
    "require_POST",
    "require_http_methods",
    "require_safe",
    "sensitive_post_parameters",
    "sensitive_variables",
    "vary_on_cookie",
    "vary_on_headers",
    "xframe_options_deny",
    "xframe_options_exempt",
    "xframe_options_sameorigin",
]

F = TypeVar("F", bound=Callable[..., Any])


class Decorator(Protocol):
    """A decorator, for which pyright finds no types in django-stubs."""

    def __call__(self, view: F, /) -> F: ...


cache_page = patch_cache_page(cache.cache_page)
condition = patch_condition(http.condition)
conditional_page: Decorator = http.conditional_page
gzip_page: Decorator = gzip.gzip_page
require_GET: Decorator = http.require_GET
require_POST: Decorator = http.require_POST
require_safe: Decorator = http.require_safe
