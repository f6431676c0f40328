"""
Operations per second, beside other ORMs and drivers: scripts/bench orm

__main__.py    the options, the rounds
workloads.py   what is measured, and what it has to return
database.py    the tables and rows that all contestants share
processes.py   one process for each contestant, told what to run
worker.py      what runs in that process: the check and the load
report.py      the tables, and the goals
contestants/   the same operations, once for each ORM and driver
test_orm.py    that those without other packages return the same, and failures show
"""
