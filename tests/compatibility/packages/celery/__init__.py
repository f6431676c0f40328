requires = ["celery"]
known = {
    "step_on_commit_of_an_async_view": "has no async `atomic()`.",
}
