"""A record shop: the models that the tests share."""
