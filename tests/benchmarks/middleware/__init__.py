"""
A site with six middlewares, served by Django and by vinyl.

__main__.py    measures and reports: `scripts/bench middleware`
ways.py        the ways to serve it: settings, and the command of the server
site.py        its middleware, views and URLs, the same in all ways
serve.py       the application that a server loads
templates/     its page, in Django's language
"""
