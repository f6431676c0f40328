from vinyl.web.testing import Client


async def test_an_empty_shop_says_how_to_fill_it(client: Client) -> None:
    response = await client.get("/")

    assert response.status_code == 200
    assert "vinyl loadsample" in response.text


async def test_an_unknown_address_is_not_found(client: Client) -> None:
    response = await client.get("/no-such-page/")

    assert response.status_code == 404
