async def test_an_empty_shop_says_how_to_fill_it(client):
    response = await client.get("/")

    assert response.status_code == 200
    assert "vinyl loadsample" in response.text


async def test_an_unknown_address_is_not_found(client):
    response = await client.get("/no-such-page/")

    assert response.status_code == 404
