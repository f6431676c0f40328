title = "OpenTelemetry's Django instrumentation"
requires = [
    "opentelemetry-instrumentation-django",
    "opentelemetry-sdk",
    "opentelemetry-instrumentation-asgi",
]
settings = {"VINYL": {"OPENTELEMETRY": False}}
middleware: list[str] = []
needs = (
    "`opentelemetry-instrumentation-asgi`, as under Django's own ASGI handler. Turn off "
    'either this instrumentation or `VINYL["OPENTELEMETRY"]`, which makes the spans of '
    "queries."
)
