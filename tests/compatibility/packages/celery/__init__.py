requires = ["celery"]
known = {
    "step_on_commit_of_an_async_view": "Django has no async `atomic()`.",
}
