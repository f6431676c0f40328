"""
Scopes: which connection the running code uses.

scope.py         START HERE: what a block or run holds, and how code finds it
atomic_scope.py  the scope of an atomic() block
run_scope.py     the scope of a run of the bridge
lease.py         a connection as one scope holds it, and who uses it inside
operation.py     the connection of one operation outside the bridge
lock.py          the lock on a connection that tasks share
storage.py       where Django's `connections` finds the connections of the scopes
placeholder.py   what `connection` is on the event loop where nothing is held
lending.py       connections that a loop lends to a thread, and a thread to a loop
fork.py          leaving the parent's connections alone in a forked process
"""
