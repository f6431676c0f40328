"""OpenTelemetry: a span for each query, by the conventions for database clients."""

from __future__ import annotations

import os
import sys
from collections.abc import Sized
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING

from vinyl.conf import vinyl_settings
from vinyl.orm import observe
from vinyl.orm.observe.events import QueryEvent, driver_error, qualified_name

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

__all__ = ["Tracing", "opentelemetry_is_installed"]

# The conventions' names of databases, where they are not Django's.
SYSTEMS = {"oracle": "oracle.db", "microsoft": "microsoft.sql_server"}


def opentelemetry_is_installed() -> bool:
    """Whether `opentelemetry-api` is there to be imported. Never switches."""
    try:
        return find_spec("opentelemetry.trace") is not None
    except ModuleNotFoundError:
        return False


class Tracing:
    """
    The observer that creates a span for each query, once a tracer provider is set. It
    imports OpenTelemetry with the first span, not before: a process that never sets a
    provider starts without it.

    Args:
        tracer: The tracer to use; None for the tracer named `vinyl` of the current
            provider.
    """

    def __init__(self, tracer: Tracer | None = None) -> None:
        if tracer is not None:
            self.tracer = tracer
        # Whether the environment names a provider, which is set by getting it.
        self._is_named = "OTEL_PYTHON_TRACER_PROVIDER" in os.environ

    @cached_property
    def tracer(self) -> Tracer:
        from opentelemetry import trace

        return trace.get_tracer("vinyl")

    @classmethod
    def from_settings(cls) -> Tracing | None:
        """Return one if the settings ask for spans; else None. Never switches."""
        if vinyl_settings.OPENTELEMETRY and opentelemetry_is_installed():
            return cls()
        return None

    def is_idle(self) -> bool:
        """Whether no provider is set, so that there is no span. Never switches."""
        if self._is_named:
            return False
        trace = sys.modules.get("opentelemetry.trace")
        # Getting the provider would read the environment each time.
        return trace is None or getattr(trace, "_TRACER_PROVIDER", ...) is None

    def begin(self, query: QueryEvent) -> None:
        """
        Start the span below the caller's. It does not become the current one, since
        only the driver runs inside it.
        """
        if self.is_idle():
            return
        from opentelemetry import trace

        # The placeholder that is returned until a provider is set.
        no_provider = getattr(trace, "ProxyTracerProvider", None)
        if type(trace.get_tracer_provider()) is not no_provider:
            name, attributes = _description_of(query)
            query.span = self.tracer.start_span(
                name, kind=trace.SpanKind.CLIENT, attributes=attributes
            )

    def end(self, query: QueryEvent) -> None:
        span = query.span
        if span is None:
            return
        error = query.error
        if error is not None:
            from opentelemetry.trace import Status, StatusCode

            original = driver_error(error)
            code = getattr(original, "sqlstate", None)
            if code:
                span.set_attribute("db.response.status_code", code)
            name = qualified_name(original)
            span.set_attribute("error.type", code or name)
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, name))
        span.end()


def _description_of(query: QueryEvent) -> tuple[str, dict[str, str | int]]:
    """The name and the attributes of the span of *query*."""
    summary = observe.sql_text.summary_of(query.sql)
    connection = query.connection
    configured = connection.settings_dict
    system = SYSTEMS.get(connection.vendor, connection.vendor)
    attributes: dict[str, str | int] = {
        "db.system.name": system,
        "db.query.text": observe.sql_text.text_of(query.sql),
    }
    if name := configured["NAME"]:
        attributes["db.namespace"] = str(name)
    if host := configured["HOST"]:
        attributes["server.address"] = host
        if (port := str(configured["PORT"])).isdecimal():
            attributes["server.port"] = int(port)
    batch = ""
    params = query.params
    if query.many and isinstance(params, Sized) and len(params) > 1:
        attributes["db.operation.batch.size"] = len(params)
        batch = "BATCH "
    if summary:
        attributes["db.operation.name"] = batch + summary.partition(" ")[0]
        summary = attributes["db.query.summary"] = f"{batch}{summary}"
    return summary or system, attributes
