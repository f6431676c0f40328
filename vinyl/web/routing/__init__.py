"""
From a URL to a view.

urls.py          path and re_path, with the types of vinyl's views
router.py        finding the view of a request, and calling it
mounted_apps.py  mount: ASGI apps in the urlpatterns
websockets.py    websocket, WebSocket, BadMessage
lifespan.py      running what an app does at start-up and shutdown
view_names.py    what an error calls a view
unawaited.py     calls that nobody awaited, as errors during development
"""
