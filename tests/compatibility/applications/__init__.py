"""
Whole applications, walked through as they are, and in three ways on vinyl.

__main__.py  runs them: `scripts/compatibility --applications`
one_run.py   prepares or serves one application in one mode, in a process of its own
overlay.py   the settings of an application, changed for the mode
crawler.py   finds pages and forms, and notes what is answered
report.py    the page of the documentation, from page.md
common.py    the settings that `startproject` writes
projects/    a module for each application: what it takes to start it
"""
