"""The limits of a body, from the settings."""

from __future__ import annotations

import pytest
from django.core.exceptions import RequestDataTooBig
from django.test import override_settings

from vinyl.web.http.limits import BodyTimeout, check_size, time_limit


def test_the_size() -> None:
    with override_settings(VINYL={"MAX_BODY_SIZE": 10}):
        check_size(10)
        with pytest.raises(RequestDataTooBig, match=r"10 bytes that VINYL\["):
            check_size(11)
        with pytest.raises(RequestDataTooBig, match="5 bytes that DATA_UPLOAD_MAX"):
            check_size(6, 5)
    with override_settings(VINYL={"MAX_BODY_SIZE": None}):
        check_size(10**12)


def test_a_long_body_may_take_longer() -> None:
    with override_settings(VINYL={"BODY_TIMEOUT": 2.0}):
        assert time_limit(0) == 2.0
        assert time_limit(5000) == 7.0
    with override_settings(VINYL={"BODY_TIMEOUT": None}):
        assert time_limit(5000) is None


@pytest.mark.parametrize(("version", "closes"), [("1.1", True), ("2", False)])
def test_a_timeout_closes_the_connection_of_http_1(version: str, closes: bool) -> None:
    error = BodyTimeout(5, 1.25, version)
    assert error.status_code == 408
    assert error.detail == "The request body did not arrive in time: 5 bytes in 1.2 s."
    assert (error.headers is not None) is closes
