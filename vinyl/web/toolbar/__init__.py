"""
The development toolbar: what a page asked of the database, as a panel on the page.

middleware.py    which pages get it, and putting it there
panel.py         what it shows, gathered from the request and its recording
templates/       the panel: one template, one stylesheet, no script

It takes no part in serving: without it in MIDDLEWARE, nothing imports this package.
"""

from vinyl.web.toolbar.middleware import ToolbarMiddleware

__all__ = ["ToolbarMiddleware"]
