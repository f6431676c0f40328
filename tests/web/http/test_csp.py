"""Which policies a response gets; tests/web/test_security.py has the headers."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.test import override_settings

from vinyl.web.http.csp import AVAILABLE, make_nonce, policies

POLICY = {"default-src": ["'self'"]}
NAME = "content-security-policy"


@pytest.mark.skipif(AVAILABLE, reason="Before Django 6.0")
def test_there_is_no_nonce_before_django_6() -> None:
    assert make_nonce() is None


@pytest.mark.skipif(not AVAILABLE, reason="Django 6.0 brings CSP")
class TestPolicies:
    def policies(self, **response: Any) -> dict[str, str]:
        scope = {"vinyl.response": SimpleNamespace(**response)}
        with override_settings(SECURE_CSP=POLICY, SECURE_CSP_REPORT_ONLY={}):
            return dict(policies(scope))

    def test_that_of_the_settings(self) -> None:
        assert self.policies() == {NAME: "default-src 'self'"}

    def test_that_of_a_decorator(self) -> None:
        assert self.policies(_csp_config={"img-src": "*"}) == {NAME: "img-src *"}

    def test_none(self) -> None:
        assert self.policies(_csp_config={}) == {}
