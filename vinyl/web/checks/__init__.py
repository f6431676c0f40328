"""
System checks of the web layer.

settings.py         checks of vinyl's settings
django_settings.py  which of Django's settings have an effect
deploy.py           Django's security checks, for vinyl's middleware
"""
