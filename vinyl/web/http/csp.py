"""
Content Security Policy, from Django's `SECURE_CSP` and `SECURE_CSP_REPORT_ONLY`.

Django has it since 6.0; on 5.2 `vinyl check` tells that these settings do nothing.
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

# Each with its header, and with the attribute that Django's decorators for views,
# `csp_override` and `csp_report_only_override`, give a response.
SETTINGS = {
    "SECURE_CSP": ("content-security-policy", "_csp_config"),
    "SECURE_CSP_REPORT_ONLY": ("content-security-policy-report-only", "_csp_ro_config"),
}


def make_nonce() -> Any:
    """Text for the `nonce` of a page's scripts, made on first use; None on 5.2."""
    return LazyNonce() if AVAILABLE else None


def policies(scope: Scope) -> Iterator[tuple[str, str]]:
    """The headers for the response of *scope*, names and values."""
    response = scope.get("vinyl.response")
    for setting, (header, attribute) in SETTINGS.items():
        config = getattr(response, attribute, None)
        if config is None:
            config = getattr(settings, setting)
        if config:
            request = scope.get("vinyl.request")
            nonce = None if request is None else request.csp_nonce
            if nonce is not None and getattr(response, "streaming", False):
                # Its page is written after the headers.
                str(nonce)
            yield header, build_policy(config, nonce)
