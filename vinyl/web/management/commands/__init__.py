"""
Vinyl's own commands; the others are Django's.

startproject.py  a new project
startapp.py      a new app
runserver.py     the development server, on uvicorn
routes.py        what the URLs of the project lead to
makemessages.py  texts of Jinja2 templates for translators
test.py          the project's tests, by pytest
"""
