"""Which of Django's test labels are run."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["chunks", "database_labels", "request_labels", "selection"]

# Test cases that get a database. SimpleTestCase gets none.
_WITH_DATABASE = re.compile(
    r"from django\.test import[^)]*?"
    r"\b(TestCase|TransactionTestCase|skipUnlessDBFeature)\b",
    re.DOTALL,
)

_LEFT_OUT = {
    # Starts hundreds of processes with settings of its own, without vinyl.
    "admin_scripts",
    # Needs PostGIS or SpatiaLite, which are backends of their own.
    "gis_tests",
}

# What CI runs: the labels that exercise what vinyl changes.
_SELECTION = (
    "aggregation async async_queryset auth_tests "
    "backends basic bulk_create composite_pk contenttypes_tests "
    "custom_managers custom_methods defer defer_regress delete delete_regress "
    "expressions fetch_modes generic_relations get_earliest_or_latest "
    "get_or_create known_related_objects lookup m2m_through "
    "many_to_many many_to_one model_forms model_inheritance "
    "multiple_database one_to_one prefetch_related "
    "queries raw_query select_for_update select_related servers sessions_tests "
    "signals test_utils transaction_hooks transactions update validation"
).split()

# The labels that make requests by the hundred.
_REQUESTS = (
    "asgi conditional_processing context_processors csrf_tests decorators file_uploads "
    "generic_views handlers messages_tests middleware middleware_exceptions "
    "requests_tests sessions_tests shortcuts signed_cookies_tests template_backends "
    "test_client test_client_regress view_tests wsgi"
).split()


def database_labels(tests: Path) -> list[str]:
    """The labels in Django's folder *tests* whose tests use a database, sorted."""
    return sorted(
        folder.name
        for folder in tests.iterdir()
        if (folder / "__init__.py").exists()
        and folder.name not in _LEFT_OUT
        and any(_WITH_DATABASE.search(text) for text in _texts(folder))
    )


def selection(tests: Path) -> list[str]:
    """The labels for CI, those of them that this Django has."""
    return [label for label in _SELECTION if (tests / label).is_dir()]


def request_labels(tests: Path) -> list[str]:
    """The labels for the mode "requests", those of them that this Django has."""
    return [label for label in _REQUESTS if (tests / label).is_dir()]


def chunks(tests: Path, labels: list[str], count: int) -> list[list[str]]:
    """
    *labels* in at most *count* parts of about the same work, the largest first.

    The work of a label is taken to be the size of its test code.
    """
    sizes = {label: sum(map(len, _texts(tests / label))) for label in labels}
    parts: list[list[str]] = [[] for _ in range(min(count, len(labels)))]
    totals = [0] * len(parts)
    for label in sorted(labels, key=sizes.__getitem__, reverse=True):
        smallest = totals.index(min(totals))
        parts[smallest].append(label)
        totals[smallest] += sizes[label]
    return parts


def _texts(folder: Path) -> list[str]:
    return [path.read_text(errors="replace") for path in folder.rglob("*.py")]
