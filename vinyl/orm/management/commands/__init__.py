"""
doctor.py         what is wrong with a project
migrate.py        Django's command, by one process at a time
shell.py          Django's command, with `await` at the prompt
watchmodels.py    the triggers that report changes to vinyl.orm.live.watch()
"""
