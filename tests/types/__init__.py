"""
Modules of projects that `mypy --strict` and pyright accept; see scripts/check. Nothing
runs them.
"""
