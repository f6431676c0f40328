"""
The development toolbar: a panel on the page with the queries of the request.

middleware.py    adding the panel to pages
panel.py         the content of the panel, from the request and its recording
templates/       the panel: one template, one stylesheet, no script

Nothing imports this package unless the toolbar is in `settings.MIDDLEWARE`.
"""

from vinyl.web.toolbar.middleware import ToolbarMiddleware

__all__ = ["ToolbarMiddleware"]
