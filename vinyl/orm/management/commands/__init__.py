"""
watchmodels.py    the triggers that report changes to vinyl.orm.live.watch()
"""
