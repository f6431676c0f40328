"""
Jinja2 templates that run in the bridge.

engine.py          the template backend, render, stream
links.py           url() and static() of templates
filters.py         Django's filters, and translated and localised text
form_templates.py  the templates of Django's forms, rendered by Jinja2
usage.py           which templates a request uses, for recordings
errors.py          Jinja2's errors as Django's, with the places that were searched
"""

from vinyl.web.templating.engine import Environment, Jinja2, render, stream

__all__ = ["Environment", "Jinja2", "render", "stream"]
