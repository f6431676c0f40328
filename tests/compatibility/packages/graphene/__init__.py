title = "graphene-django"
requires = ["graphene-django>=3.2"]
apps = ["graphene_django"]
