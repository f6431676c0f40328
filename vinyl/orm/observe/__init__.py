"""
Observing queries.

events.py       the begin and the end of each query, and who observes them
slow_log.py     the log of slow queries
tracing.py      OpenTelemetry spans
recorder.py     the queries of a block: counted and timed, or each with its line
callsite.py     which line of the user's code or template is running
sql_text.py     what logs, spans and pages show of a query's text and parameters
lazy_loads.py   relations and fields that are loaded where code touches them
lookup_paths.py how an instance was reached, and what would have loaded the rest
n_plus_one.py   the report of lazy loads that a line repeats
fetch_modes.py  templates that fetch for a whole list at once
"""

from typing import TYPE_CHECKING

from vinyl.bridge.imports import importer_of

if TYPE_CHECKING:
    from vinyl.orm.observe import (
        callsite,
        lookup_paths,
        slow_log,
        sql_text,
        tracing,
    )
else:
    # Modules that many processes do not need: imported with their first use.
    __getattr__ = importer_of(__name__)

__all__ = [
    "callsite",
    "lookup_paths",
    "slow_log",
    "sql_text",
    "tracing",
]
