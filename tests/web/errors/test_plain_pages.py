"""Plain responses: one text, in three media types."""

from __future__ import annotations

import json

import pytest

from vinyl.web.errors.plain_pages import html_page, plain_response


@pytest.mark.parametrize("media_type", ["text/html", "text/plain", "application/json"])
def test_the_status_and_its_title(media_type: str) -> None:
    response = plain_response(404, media_type, headers={"X-Name": "value"})
    assert response.status_code == 404
    assert response.media_type == media_type
    assert response.headers["x-name"] == "value"
    assert "Not Found" in response.content.decode()


def test_html_is_escaped_and_has_no_further_members() -> None:
    response = plain_response(400, "text/html", detail="<b>", tried=["<i>"])
    page = response.content.decode()
    assert "<p>&lt;b&gt;</p>" in page
    assert "<b>" not in page
    assert "i>" not in page.replace("<title>", "").replace("</title>", "")


def test_text_has_a_line_for_each_thing_that_was_tried() -> None:
    response = plain_response(404, "text/plain", detail="No.", tried=["a", "b"])
    assert response.content == b"404 Not Found\nNo.\na\nb\n"
    assert plain_response(404, "text/plain", tried=["a"]).content == b"404 Not Found\n"


def test_json_has_the_members_that_are_not_empty() -> None:
    response = plain_response(
        404, "application/json", detail={"code": 1}, tried=[], traceback="lines"
    )
    assert json.loads(response.content) == {
        "status": 404,
        "title": "Not Found",
        "detail": {"code": 1},
        "traceback": "lines",
    }


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body(status: int) -> None:
    response = plain_response(status, "text/html", detail="x", headers={"X-Name": "y"})
    assert (response.status_code, response.content) == (status, b"")
    assert response.headers["x-name"] == "y"


def test_a_status_that_http_does_not_know() -> None:
    assert b"599 Unknown Status Code" in html_page(599, "").content
