"""
The management commands of vinyl.orm.

commands/           each is a `vinyl` command
examinations.py     what `vinyl doctor` looks at
migration_lock.py   the lock that `vinyl migrate` holds
progress.py         a line on the terminal that says how far a command has come
"""
