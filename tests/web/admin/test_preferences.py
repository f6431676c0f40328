"""What a visitor arranges is remembered, whatever the cookie holds."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.http import QueryDict
from django.test import RequestFactory, override_settings

from tests.web.admin.administering import administering, superuser
from vinyl.web.admin.preferences import (
    COOKIE,
    MAX_FAVOURITES,
    MAX_LENGTH,
    Preferences,
)

URL = "/admin/preferences/"


def with_cookie(value: str) -> Any:
    request = RequestFactory().get("/admin/")
    request.COOKIES[COOKIE] = value
    return request


@pytest.mark.parametrize(
    "value",
    [
        "",
        "scheme:pink",
        "side",
        "pk:1&of:2",
        ":&&;%00",
        'scheme:"><script>',
        "hidden:",
        "hidden:records.album",
        'hidden:records.album~"><script>~',
        "hidden:a;b~title",
    ],
)
def test_a_cookie_without_sense_is_none(value: str) -> None:
    found = Preferences.of(with_cookie(value))
    assert vars(found) == vars(Preferences())


def test_favourites_are_limited_in_number_and_length() -> None:
    pairs = [f"favourite:app.model{i}" for i in range(100)]
    found = Preferences.of(with_cookie("&".join(pairs)))
    assert len(found.favourites) == MAX_FAVOURITES
    found.favourites.clear()
    # What a cookie cannot hold as it stands is none, either.
    for label in ("x" * 101, "a&scheme:dark", "a;b", "łódź.album", ""):
        found.toggle(label)
    assert found.favourites == []


def test_a_favourite_is_taken_off_by_the_second_click() -> None:
    found = Preferences()
    found.update({"favourite": "records.album"})
    assert found.favourites == ["records.album"]
    found.update({"favourite": "records.album"})
    assert found.favourites == []


def cookie_of(preferences: Preferences) -> str:
    with override_settings(ALLOWED_HOSTS=["testserver"]):
        response = preferences.response(RequestFactory().post("/admin/"), "/admin/")
    return str(response.cookies[COOKIE].value)


def test_hidden_columns_are_kept_by_model() -> None:
    data = QueryDict("columns=records.album&of=year&of=artist__name&show=year")
    found = Preferences(hidden={"records.album": ["notes", "year"], "a.b": ["x"]})
    found.update(data)
    # One that the form does not know stays hidden.
    expected = {"a.b": ["x"], "records.album": ["notes", "artist__name"]}
    assert found.hidden == expected
    cookie = cookie_of(found)
    assert re.fullmatch(r"[\w.:&~]+", cookie)
    assert Preferences.of(with_cookie(cookie)).hidden == expected
    found.update(QueryDict("columns=a.b&of=x&show=x"))
    assert found.hidden == {"records.album": ["notes", "artist__name"]}


def test_a_cookie_that_is_too_long_has_the_columns_hidden_last() -> None:
    found = Preferences(scheme="dark")
    for number in range(200):
        found.hide(f"app.model{number}", [f"column_{i}" for i in range(10)])
    cookie = cookie_of(found)
    assert len(cookie) <= MAX_LENGTH
    kept = Preferences.of(with_cookie(cookie))
    assert "app.model199" in kept.hidden
    assert "app.model0" not in kept.hidden
    assert kept.scheme == "dark"
    # The next one takes the place of the oldest, whoever has read the cookie between.
    oldest = [*kept.hidden][0]
    kept = Preferences.of(with_cookie(cookie_of(kept)))
    kept.hide("app.model200", ["column_1"] * 10 + ["column_2" * 10])
    kept = Preferences.of(with_cookie(cookie_of(kept)))
    assert oldest not in kept.hidden
    assert [*kept.hidden][-2:] == ["app.model199", "app.model200"]


def test_the_button_goes_round_the_schemes() -> None:
    found = Preferences()
    seen = []
    for _ in range(4):
        seen.append(found.scheme)
        found.choose("scheme", found.next_scheme)
    assert seen == ["auto", "light", "dark", "auto"]


@pytest.mark.anyio
@pytest.mark.usefixtures("db")
async def test_a_form_stores_them_and_leads_back() -> None:
    await superuser()
    async with administering() as http:
        here = "/admin/records/album/?q=blues"
        data = {"scheme": "dark", "next": here}
        response = await http.post(URL, data=data)
        assert response.headers["location"] == here
        [cookie] = response.headers.get_list("set-cookie")
        assert "Path=/admin/;" in cookie
        assert "SameSite=Lax" in cookie
        await http.post(URL, data={"side": "closed", "next": here})
        page = (await http.get(here)).text
        assert 'data-scheme="dark" data-side="closed">' in page
        assert '<meta name="color-scheme" content="dark">' in page
        assert 'name="side" value="open"' in page
        # Also on the page for logging in.
        await http.post("/admin/logout/")
        assert 'data-scheme="dark"' in (await http.get("/admin/login/")).text


@pytest.mark.anyio
@pytest.mark.usefixtures("db")
async def test_they_lead_to_no_other_site_and_need_a_post_of_the_staff() -> None:
    await superuser()
    async with administering() as http:
        for target in ("https://evil.example/", "//evil.example", ""):
            response = await http.post(URL, data={"side": "open", "next": target})
            assert response.headers["location"] == "/admin/"
        assert (await http.get(URL)).status_code == 405
        await http.post("/admin/logout/")
        response = await http.post(URL, data={"side": "open"})
        # The page for logging in, as after any post without a session.
        assert response.status_code == 403
        assert 'action="/admin/login/"' in response.text
