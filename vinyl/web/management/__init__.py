"""
The commands of the web layer.

failed_start.py  what runserver serves while the project does not start
templates.py     copies the project template, for startproject and startapp
workers.py       several processes that serve, for runserver
commands/        runserver, startapp, startproject and others
"""
