"""
Django's contrib apps and the parts of Django beside the ORM that use it.

auth.py                  users, permissions and their backends
contenttypes.py          content types and generic relations
generic_foreign_keys.py  generic foreign keys
managers.py              managers of contrib apps, files of models
forms.py                 forms, whose validation may use the database
validators.py            async validators of fields
caches.py                one cache object for the tasks of an event loop
blocking.py              caches, file storages and e-mail backends that block
"""
