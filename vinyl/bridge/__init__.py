"""
The bridge: sync code that waits on the event loop. It knows nothing of the ORM.

greenlets.py     START HERE: run, await_, suspend, in_bridge; alone imports greenlet
mode.py          which mode a call is in; dual-mode functions
async_methods.py methods that objects have in async mode only
flows.py         use_driver: generator functions that run in both modes
calls.py         Call, which a dual-mode call returns in async mode
refusals.py      objects that raise an error if they are used as a value
dropped.py       raising an error for a call whose result is dropped, not awaited
bytecode.py      what the calling code does with the result of a call
marks.py         marks on functions, such as "is dual-mode"
imports.py       modules that are imported with their first use, patches with others
patching.py      the patches of a table, and applying them to Django's classes
cancellation.py  whether a cancelled operation counts; work that outlasts its task
tasks.py         the running task, and where a task is in its code
loop_end.py      calling a function when an event loop ends
blocking.py      reports of sync code that blocks the event loop
threads.py       in_thread: functions that run in a worker thread

Nothing here imports vinyl.orm or vinyl.web.
"""

from typing import TYPE_CHECKING

from vinyl.bridge.imports import importer_of

if TYPE_CHECKING:
    from vinyl.bridge import bytecode, dropped, threads
else:
    # Modules that many processes do not need: imported with their first use.
    __getattr__ = importer_of(__name__)

__all__ = ["bytecode", "dropped", "threads"]
