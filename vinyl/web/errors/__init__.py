"""
From an error to a response, in one pass. START HERE: `respond_to()` of middleware.py
takes these steps, and each looks only at what the one before it has found.

1. recognise: problem.py turns the error into a `Problem`: the error that counts (of a
   group, or with the client to blame), its status, and what developers and the client
   may read.
2. report: report.py writes one log record, from which Django's handlers make an email,
   and sends Django's signal.
3. choose: middleware.py takes the first that applies: the debug page, the page of the
   part of the site, the project's handler, its template, the plain page.
4. render: debug_pages.py or plain_pages.py, or the handler or template.

The pass has one result, whatever happens in it: a page that fails is logged, and the
plain page takes its place. A report of values that cannot be shown leaves them out.

middleware.py          ErrorMiddleware, which catches errors; respond_to, the pass
problem.py             Problem: what an error means for the response
report.py              log records and Django's signal
debug_pages.py         responses for developers, while DEBUG is on
framed.py              pages in the frame of a part of the site, such as the admin
plain_pages.py         responses without a template
exception_reporter.py  Django's report, which never fails because of what it shows
logging_setup.py       handlers and filters, set up once; email without waiting
"""
