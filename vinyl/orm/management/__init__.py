"""
The management commands of vinyl.orm.

commands/    each is a `vinyl` command
"""
