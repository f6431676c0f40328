"""
Requests and responses. Each module imports only from those above it:

local_value.py       script prefix, urlconf, language and time zone, quick to read
prefix.py            the prefix under which the site is served
headers.py           text in the headers of a response
cookies.py           cookies of a request, and those that a response sets
strict_json.py       JSON, read and written
limits.py            limits for the size of a body and for the time to send it
spool.py             the file that a body is kept in
bodies.py            Body: received once, for all readers
parsers.py           forms, by Django's parsers
meta.py              request.META, and the headers that middleware changes in it
body_attribute.py    request.body, as a method and as an attribute
assigned_class.py    requests to which a package assigns a class of its own
reading.py           the part of Request that reads headers, query and body
redaction.py         what reports and logs leave out
lazy_user.py         request.user before it has been fetched
csp.py               Content Security Policy
url_match.py         finding the view of a path
requests.py          Request
background.py        BackgroundTask: calls after the response
responses.py         the response classes, redirect
streaming.py         StreamingResponse
events.py            EventSourceResponse: server-sent events
login_redirects.py   redirects to the login page: 401 for clients that ask for JSON
django_responses.py  Django's responses as Starlette's
request_signals.py   request_started and request_finished
captured.py          the response of an ASGI app, as an object
"""
