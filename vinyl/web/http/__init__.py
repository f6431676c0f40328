"""
Requests and responses.

requests.py          Request
reading.py           its part that reads: form, JSON, bytes
bodies.py            the body of a request, received once, in time, for all readers
spool.py             the file that a body is kept in
parsers.py           forms, by Django's parsers, and strict JSON
prefix.py            the prefix under which the site is served
headers.py           text in headers and cookies
lazy_user.py         what request.user is before it has been fetched
responses.py         the response classes, redirect
streaming.py         StreamingResponse
events.py            EventSourceResponse: server-sent events
background.py        BackgroundTask: what is done after the response
django_responses.py  Django's responses as Starlette's
csp.py               Content Security Policy
redaction.py         what reports and logs leave out
"""
