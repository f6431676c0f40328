"""
A backend whose connections belong to a tenant that code sets, in the way of
django-tenants: a schema of PostgreSQL, which each cursor chooses.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from vinyl.orm.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    tenant: Any
    # Called by set_tenant(), as EXTRA_SET_TENANT_METHOD is.
    extra: Any = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.set_schema_to_public()

    def set_tenant(self, tenant: Any) -> None:
        self.tenant = tenant
        if self.extra is not None:
            self.extra(self)

    def set_schema_to_public(self) -> None:
        self.set_tenant(SimpleNamespace(schema_name="public"))

    def _cursor(self, name: str | None = None) -> Any:
        cursor = super()._cursor(name)  # type: ignore[misc] # not in django-stubs
        with self.connection.cursor() as setting:
            setting.execute(f"SET search_path = {self.tenant.schema_name}, public")
        return cursor
