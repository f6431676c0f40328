title = "strawberry-django"
requires = ["strawberry-graphql-django"]
apps = ["strawberry_django"]
