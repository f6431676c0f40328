"""
Observing queries.

events.py       the begin and the end of each query, and who observes them
slow_log.py     the log of slow queries
tracing.py      OpenTelemetry spans
recorder.py     the queries of a block: counted and timed, or each with its line
callsite.py     which line of the user's code or template is running
sql_text.py     what logs, spans and pages show of a query's text and parameters
n_plus_one.py   relations that code loads where it touches them, and N+1s
fetch_modes.py  templates that fetch for a whole list at once
"""
