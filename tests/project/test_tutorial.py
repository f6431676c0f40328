"""Who follows the tutorial to the letter gets what it promises, part by part."""

from __future__ import annotations

import re
from pathlib import Path

import httpx

from tests.postgres import empty_database
from tests.project.following import Follower
from tests.project.terminal import server, serving

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial"
PARTS = sorted(TUTORIAL.glob("[0-9]-*.md"))

CREDENTIALS = {"username": "nina", "password": "needle-42-groove"}


def test_the_whole_tutorial(tmp_path: Path, postgres_url: str) -> None:
    reader = Follower(tmp_path)
    for number, page in enumerate(PARTS, start=1):
        if number == 8:
            break
        reader.follow(page)
        if number in LOOKS:
            with serving(reader.folder) as client:
                LOOKS[number](client)

    with empty_database(postgres_url) as url:
        to_production(reader, url)


def to_production(reader: Follower, database_url: str) -> None:
    reader.database_url = database_url
    (reader.folder / ".env").write_text(
        "DEBUG=0\nSECRET_KEY=gUvqE7bXoT2mZ4nC8pWsA6yRkL1dF9hJ3eQxVtNz5iBcMaOuYw0\n"
        "ALLOWED_HOSTS=127.0.0.1\nHTTPS=1\n"
    )
    reader.follow(PARTS[7])
    command = ["uvicorn", "ticketshop.asgi:application", "--port", "{port}"]
    with server(*command, cwd=reader.folder, database_url=database_url) as (url, _):
        by_proxy = {"x-forwarded-proto": "https"}
        with httpx.Client(base_url=url, headers=by_proxy) as client:
            page = client.get("/")
            assert "No concerts at the moment." in page.text
            assert client.get("/health/").status_code == 200


def test_the_quick_start(tmp_path: Path) -> None:
    # It ends with a test of the page that it builds.
    Follower(tmp_path).follow(TUTORIAL.parent / "quickstart.md")


def test_all_parts_are_followed() -> None:
    listed = re.findall(r"^(\d-\w+)$", (TUTORIAL / "index.md").read_text(), re.M)
    assert listed == [page.stem for page in PARTS]
    assert len(listed) == 8


def first(client: httpx.Client) -> None:
    assert "It spins." in client.get("/").text


def pages(client: httpx.Client) -> None:
    assert "The Paper Kettles</a>" in client.get("/").text
    page = client.get("/concerts/the-paper-kettles/").text
    assert "at Kettle Hall,\n  Porto" in page
    assert ">120</span> seats left" in page
    missing = client.get("/concerts/none/")
    assert missing.status_code == 404


def admin(client: httpx.Client) -> None:
    credentials = {"username": "ada", "password": "needle-42"}
    client.post("/admin/login/", data=credentials)
    listed = client.get("/admin/tickets/concert/")
    assert listed.status_code == 200
    assert "The Paper Kettles" in listed.text


def orders(client: httpx.Client) -> None:
    address = "/concerts/the-paper-kettles/order/"
    assert client.post(address, data={"tickets": 2}).status_code == 302
    password = CREDENTIALS["password"]
    account = {"username": "nina", "password1": password, "password2": password}
    assert client.post("/sign-up/", data=account).status_code == 302
    assert client.post("/accounts/login/", data=CREDENTIALS).status_code == 302
    assert "<button>Order</button>" in client.get("/concerts/the-paper-kettles/").text

    refused = client.post(address, data={"tickets": 9})
    assert refused.status_code == 422
    sold = client.post(address, data={"tickets": 2}, follow_redirects=True)
    assert "Enjoy the concert!" in sold.text
    assert "2 × The Paper Kettles, Kettle Hall" in sold.text


def live(client: httpx.Client) -> None:
    client.post("/accounts/login/", data=CREDENTIALS)
    page = client.get("/concerts/the-paper-kettles/").text
    [address] = re.findall(r'data-events="([^"]+)"', page)
    assert client.get("/static/seats.js").status_code == 200
    with client.stream("GET", address) as stream:
        lines = (line for line in stream.iter_lines() if line.startswith("data"))
        assert next(lines) == "data: 118"
        order = {"tickets": 3}
        client.post("/concerts/the-paper-kettles/order/", data=order)
        assert next(lines) == "data: 115"


LOOKS = {
    1: first,
    3: pages,
    4: admin,
    5: orders,
    6: live,
}
