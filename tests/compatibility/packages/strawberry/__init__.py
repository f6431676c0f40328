title = "strawberry-django"
requires = ["strawberry-graphql-django"]
apps = ["strawberry_django"]
known = {
    "step_sync_view": (
        "the sync `GraphQLView` asks for a running event loop, and then expects to be "
        "awaited. Use `AsyncGraphQLView`, or `in_thread(GraphQLView.as_view(...))`: see "
        "[code that asks for an event "
        "loop](../topics/django-handler.md#code-that-asks-for-an-event-loop)."
    ),
}
