title = "Django's tasks with django-tasks-db"
requires = ["django-tasks-db", "django-tasks"]
apps = ["django_tasks", "django_tasks_db"]
settings = {"TASKS": {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}}
known = {
    "step_rolled_back_async_block": "Django has no async `atomic()`.",
}
