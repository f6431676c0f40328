requires = ["procrastinate"]
apps = ["procrastinate.contrib.django"]
databases = ["postgresql"]
known = dict.fromkeys(
    ("step_async_block", "step_rolled_back_async_block"),
    "Django has no async `atomic()`.",
)
