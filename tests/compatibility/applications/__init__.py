"""
Whole applications, walked through in five ways: as they are, and on vinyl.

__main__.py  runs them: `python -m tests.compatibility.applications NAME...`
one_run.py   prepares or serves one application in one mode, in a process of its own
overlay.py   the settings of an application, changed for the mode
crawler.py   finds pages and forms, and notes what is answered
projects/    a module for each application: what it takes to start it
"""
