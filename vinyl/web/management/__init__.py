"""
The commands of the web layer.

templates.py    copying the project template, for startproject and startapp
commands/       runserver, startapp, startproject
"""
