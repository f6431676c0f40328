"""
From an error to an answer.

middleware.py          catching an error, and choosing its answer
report.py              the loggers, e-mail to ADMINS
debug_pages.py         what developers see of an error
plain_pages.py         plain answers, without a template
exception_reporter.py  reports that never fail because of what they show
injection.py           header values that would add other headers
"""
