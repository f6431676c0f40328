"""
Modules of a project that `mypy --strict` accepts; see scripts/check. Nothing runs them.
"""
