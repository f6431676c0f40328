"""
The database that the objects of a ModelAdmin are in, and one transaction for what is
done to them: `get_queryset()` may name another database than the router does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from django.db import models, router, transaction

__all__ = ["database_of", "saving_elsewhere", "transaction_of"]


def database_of(objs: Any) -> str:
    """
    Return the alias of the database that a deletion of *objs*, a queryset or a list
    with an object, writes to. Never switches.
    """
    if isinstance(objs, models.QuerySet):
        hints: Any = objs
        return hints._db or router.db_for_write(objs.model, **hints._hints)
    return router.db_for_write(type(objs[0]), instance=objs[0])


@contextmanager
def saving_elsewhere(model_admin: Any, request: Any) -> Iterator[None]:
    """
    A transaction for a page of *model_admin* that saves or deletes, in the database of
    its objects; none where Django's page opens it. Switches to the event loop.
    """
    with ExitStack() as stack:
        if request.method == "POST":
            using = database_of(model_admin.get_queryset(request))
            if using != router.db_for_write(model_admin.model):
                stack.enter_context(transaction.atomic(using=using))
        yield


@contextmanager
def transaction_of(objs: Any) -> Iterator[None]:
    """
    A transaction in the database of *objs*, as `database_of()` takes them, and one in
    the database that the router names for their model. Switches to the event loop.
    """
    model = objs.model if isinstance(objs, models.QuerySet) else type(objs[0])
    with ExitStack() as stack:
        for using in dict.fromkeys((router.db_for_write(model), database_of(objs))):
            stack.enter_context(transaction.atomic(using=using))
        yield
