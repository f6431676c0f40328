"""
dumpdata.py       Django's command, whose file is complete or not there
doctor.py         what is wrong with a project
loaddata.py       Django's command, which counts on a terminal
migrate.py        Django's command, by one process at a time
shell.py          Django's command, with `await` at the prompt
watchmodels.py    the triggers that report changes to vinyl.orm.live.watch()
"""
