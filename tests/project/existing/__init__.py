"""
An app of a stock Django project, which test_existing_project.py copies into one.

views.py and tests.py are the code of docs/howto/existing-django-project.md.
"""
