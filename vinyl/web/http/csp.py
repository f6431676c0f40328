"""
Content Security Policy, from Django's `SECURE_CSP` and `SECURE_CSP_REPORT_ONLY`.

Django supports it since 6.0; on 5.2 `vinyl check` warns that these settings have no
effect.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from starlette.types import Scope

try:
    from django.utils.csp import LazyNonce, build_policy
except ImportError:
    AVAILABLE = False
else:
    AVAILABLE = True

__all__ = ["AVAILABLE", "SETTINGS", "make_nonce", "policies"]

# Each setting with its header, and with the attribute that Django's decorators for
# views, `csp_override` and `csp_report_only_override`, set on a response.
SETTINGS = {
    "SECURE_CSP": ("content-security-policy", "_csp_config"),
    "SECURE_CSP_REPORT_ONLY": ("content-security-policy-report-only", "_csp_ro_config"),
}


def make_nonce() -> Any:
    """
    Return the text for the `nonce` of a page's scripts, made on first use; None before
    Django 6.0. Never switches.
    """
    return LazyNonce() if AVAILABLE else None


def policies(scope: Scope) -> Iterator[tuple[str, str]]:
    """
    Iterate over names and values of the headers for the response of *scope*. Never
    switches.
    """
    response = scope.get("vinyl.response")
    for setting, (header, attribute) in SETTINGS.items():
        config = getattr(response, attribute, None)
        if config is None:
            config = getattr(settings, setting)
        if config:
            request = scope.get("vinyl.request")
            nonce = None if request is None else request.csp_nonce
            if nonce is not None and getattr(response, "streaming", False):
                # The page is rendered after the headers have been sent.
                str(nonce)
            yield header, build_policy(config, nonce)
