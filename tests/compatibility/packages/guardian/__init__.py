title = "django-guardian"
requires = ["django-guardian"]
apps = ["guardian"]
settings = {
    "AUTHENTICATION_BACKENDS": [
        "django.contrib.auth.backends.ModelBackend",
        "guardian.backends.ObjectPermissionBackend",
    ],
    "GUARDIAN_MONKEY_PATCH_USER": False,
}
known = {
    "step_permission_of_an_object": (
        "`ahas_perm()` says no, since its backend has `has_perm()` only."
    ),
}
