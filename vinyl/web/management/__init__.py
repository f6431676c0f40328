"""
The commands of the web layer.

failed_start.py  what runserver serves while the project does not start
templates.py    copying the project template, for startproject and startapp
commands/       runserver, startapp, startproject
"""
