"""
Vinyl's own commands; the others are Django's.

startproject.py     a new project
startapp.py         a new app
runserver.py        the development server, on uvicorn
routes.py           the URLs of the project and their views
makemessages.py     messages for translators, with those of Jinja2 templates
completion.py       completion of commands in a shell
createsuperuser.py  Django's command, which fails without a terminal
test.py             Django's and unittest's test cases
"""
