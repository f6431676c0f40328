"""
Django's entry points in both modes.

table.py          START HERE: each entry point, and what it becomes
versions.py       every private Django name in use, and which Django has it
querysets.py      awaiting querysets
streams.py        reading a queryset row by row
lazy.py           NotFetched and the attributes that give it
singleflight.py   one piece of work for several tasks that want its result
cursors.py        raw cursors, COPY, pinned connections, savepoints
notifications.py  receiving PostgreSQL's notifications
closing.py        closing connections with Django's functions, on the event loop
awaited_value.py  a note on the error of awaiting a value that was fetched before
"""
