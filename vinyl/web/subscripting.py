"""
`ModelForm[Album]` and `ListView[Album]`: Django's classes that are generic in
django-stubs, and for strict checkers have to be given their parameters.
"""

from __future__ import annotations

from typing import Any

__all__ = ["make_subscriptable"]


def make_subscriptable(*classes: type) -> None:
    """
    Let each of *classes* be subscripted at run time, which returns the class itself.
    Never switches.
    """
    for cls in classes:
        if not hasattr(cls, "__class_getitem__"):
            cls.__class_getitem__ = classmethod(_itself)  # type: ignore[attr-defined]


def _itself(cls: type, parameters: Any) -> type:
    return cls
