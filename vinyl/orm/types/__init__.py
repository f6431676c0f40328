"""
What checkers know of `vinyl.orm.models`. At run time its names are Django's own.

models.pyi     Model
querysets.pyi  QuerySet, RawQuerySet and managers
relations.pyi  ForeignKey, OneToOneField, ManyToManyField and related managers
fields.pyi     the other fields
"""
