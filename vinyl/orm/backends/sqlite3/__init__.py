"""
The ENGINE for SQLite.

base.py         its DatabaseWrapper, which waits for locks without blocking
converters.py   Django's converters of SQLite's values as Python expressions
"""
