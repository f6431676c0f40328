"""
Django's own test suite with vinyl's backends; `scripts/conformance` runs it.

__main__.py      the command: fetches Django's tests, runs them, prints the table
labels.py        which labels are run
plan_counts.py   how many of the queries have a plan
suite.py         some labels in one mode, in a process of its own
stand_ins.py     vinyl.web's Request in the place of Django's
comparison.py    what each run has to do: whatever stock Django does
exceptions.toml  the tests of something that cannot exist in a mode, with reasons
"""
