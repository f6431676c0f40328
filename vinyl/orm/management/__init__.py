"""
The management commands of vinyl.orm.

commands/           each is a `vinyl` command
migration_lock.py   the lock that `vinyl migrate` holds
"""
