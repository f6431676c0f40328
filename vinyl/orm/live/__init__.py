"""
Notifications and live queries: `listen()`, `notify()` and `watch()`.

listening.py       listen(): the notifications of some channels
notifying.py       notify(): sends one
watching.py        watch(): the results of a queryset, again after each change
notes.py           what a listener receives, and how it is queued
registry.py        the source of notes of each event loop and database
source.py          one task for all listeners, which starts again after a failure
shared_session.py  the source on PostgreSQL: one session that listens
polling.py         the source on SQLite, which has no notifications
tables.py          the tables that a queryset reads
triggers.py        the triggers that report changes of tables, and WatchModel
"""

from vinyl.orm.live.listening import Listener, listen
from vinyl.orm.live.notes import Note
from vinyl.orm.live.notifying import notify
from vinyl.orm.live.triggers import WatchModel
from vinyl.orm.live.watching import watch

__all__ = ["Listener", "Note", "WatchModel", "listen", "notify", "watch"]
