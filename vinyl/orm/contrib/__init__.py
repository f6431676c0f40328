"""
Django's contrib apps and the parts of Django beside the ORM that use it.

auth.py          users, permissions and their backends
contenttypes.py  content types and generic relations
managers.py      managers of contrib apps, files of models
validators.py    async validators of fields
forms.py         forms, whose validation may use the database
caches.py        one cache object for the tasks of an event loop
blocking.py      caches, file storages and e-mail backends that block
"""
