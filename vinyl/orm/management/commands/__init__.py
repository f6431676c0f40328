"""
migrate.py        Django's command, by one process at a time
watchmodels.py    the triggers that report changes to vinyl.orm.live.watch()
"""
