"""
Scopes: which connection the running code uses.

scope.py        scopes, and Django's storage of connections
lease.py        a connection as one scope holds it, and who uses it inside
lock.py         whose turn it is to use a connection that tasks share
lending.py      connections that a loop lends to a thread, and a thread to a loop
placeholder.py  what `connection` is on the event loop where nothing is held
fork.py         leaving the parent's connections alone in a forked process
"""
