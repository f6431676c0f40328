title = "django-money"
requires = ["django-money[exchange]"]
apps = ["djmoney", "djmoney.contrib.exchange"]
settings = {
    "CURRENCIES": ("EUR", "USD"),
    "EXCHANGE_BACKEND": "djmoney.contrib.exchange.backends.FixerBackend",
    "FIXER_ACCESS_KEY": "k",
}
