"""Logging in is limited by account and by address, whoever has the right password."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="misc"

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from django.contrib.auth.forms import AuthenticationForm
from django.core.cache import cache, caches
from django.test import override_settings

from tests.web.admin.administering import administering, superuser, text, user
from vinyl.web.admin import AdminSite
from vinyl.web.admin.throttle import Throttle

LOGIN = "/admin/login/"
CACHES = {
    "file": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache"},
    "dummy": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"},
}


@pytest.fixture(autouse=True)
def empty_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


class Site(AdminSite):
    login_account_limit = 2
    login_address_limit = 4
    # No test runs into the next period.
    login_limit_seconds = 1e12


class FakeClock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class TestThrottle:
    def make(self, account: int | None = 2, address: int | None = 3) -> Throttle:
        self.clock = FakeClock()
        return Throttle(account, address, 900, clock=self.clock)

    def test_an_account_has_a_limit_from_any_address(self) -> None:
        throttle = self.make()
        waits = [throttle.begin("ada", f"10.0.0.{i}") for i in range(3)]
        assert waits == [0, 0, 900]
        assert throttle.begin(" ADA ", "10.0.0.9") == 900
        assert throttle.begin("bob", "10.0.0.9") == 0

    def test_an_address_has_a_limit_for_any_account(self) -> None:
        throttle = self.make()
        waits = [throttle.begin(f"user{i}", "10.0.0.1") for i in range(4)]
        assert waits == [0, 0, 0, 900]

    def test_an_unknown_address_is_not_counted(self) -> None:
        throttle = self.make(None, 1)
        assert [throttle.begin("a", "") for _ in range(3)] == [0, 0, 0]

    def test_an_ipv6_address_counts_as_its_network(self) -> None:
        throttle = self.make(None, 1)
        assert throttle.begin("a", "2001:db8:0:1::1") == 0
        assert throttle.begin("b", "2001:db8:0:1:ffff::2") > 0
        assert throttle.begin("c", "2001:db8:0:2::1") == 0
        assert throttle.begin("d", "::ffff:10.0.0.1") == 0
        assert throttle.begin("e", "::ffff:10.0.0.2") == 0
        assert throttle.begin("f", "a socket") == 0

    def test_a_success_takes_back_its_attempt_only(self) -> None:
        throttle = self.make()
        for _ in range(5):
            assert throttle.begin("ada", "10.0.0.1") == 0
            throttle.succeed("ada", "10.0.0.1")
        assert throttle.begin("ada", "10.0.0.1") == 0
        assert throttle.begin("ada", "10.0.0.1") == 0
        assert throttle.begin("ada", "10.0.0.1") > 0

    def test_the_next_period_begins_anew(self) -> None:
        throttle = self.make()
        self.clock.now = 900 * 7 + 100
        assert [throttle.begin("ada", "1") for _ in range(3)] == [0, 0, 800]
        self.clock.now += 800
        assert throttle.begin("ada", "1") == 0

    def test_none_is_no_limit(self) -> None:
        throttle = self.make(None, None)
        assert not any(throttle.begin("ada", "1") for _ in range(50))

    @pytest.mark.parametrize("name", ["file", "dummy"])
    def test_other_caches(self, name: str, tmp_path: Any) -> None:
        with override_settings(
            CACHES={"default": {**CACHES[name], "LOCATION": str(tmp_path)}}
        ):
            throttle = self.make()
            waits = [throttle.begin("ada", "1") for _ in range(3)]
            # A cache that stores nothing counts nothing.
            assert waits == ([0, 0, 900] if name == "file" else [0, 0, 0])
            caches["default"].clear()


async def tries(http: httpx.AsyncClient, name: str, password: str) -> str:
    data = {"username": name, "password": password, "next": "/admin/"}
    response = await http.post(LOGIN, data=data)
    return "in" if response.status_code == 302 else text(response)


REFUSED = "Too many failed attempts to log in. Try again in"


@pytest.mark.anyio
@pytest.mark.usefixtures("db")
class TestLogin:
    async def test_is_refused_with_the_right_password_too(self) -> None:
        await superuser()
        await user("bob")
        async with administering(None, site=Site()) as http:
            for _ in range(2):
                page = await tries(http, "ada", "wrong")
                assert "Please enter the correct username" in page
            assert REFUSED in await tries(http, "ada", "secret")
            # Others are not concerned, until the address is.
            assert await tries(http, "bob", "secret") == "in"
            await http.post("/admin/logout/")
            await tries(http, "ada", "wrong")
            assert REFUSED in await tries(http, "bob", "secret")

    async def test_tells_the_same_of_names_that_nobody_has(self) -> None:
        async with administering(None, site=Site()) as http:
            pages = [await tries(http, "nobody", "wrong") for _ in range(3)]
        assert [REFUSED in page for page in pages] == [False, False, True]

    async def test_many_at_once_have_the_same_limit(self) -> None:
        await superuser()
        async with administering(None, site=Site()) as http:
            pages = await asyncio.gather(
                *(tries(http, "ada", "wrong") for _ in range(4))
            )
        assert sum(REFUSED in page for page in pages) == 2

    async def test_has_a_form_of_the_project(self) -> None:
        class Everybody(Site):
            # Also for those outside the staff.
            login_form = AuthenticationForm

            def has_permission(self, request: Any) -> bool:
                return bool(request.user.is_active)

        await user("bob", is_staff=False)
        async with administering(None, site=Everybody()) as http:
            assert await tries(http, "bob", "secret") == "in"
            await http.post("/admin/logout/")
            for _ in range(2):
                await tries(http, "bob", "wrong")
            assert REFUSED in await tries(http, "bob", "secret")

    async def test_may_be_without_limits(self) -> None:
        class Free(Site):
            def get_login_throttle(self) -> None:
                return None

        await superuser()
        async with administering(None, site=Free()) as http:
            for _ in range(4):
                await tries(http, "ada", "wrong")
            assert await tries(http, "ada", "secret") == "in"
