"""URLs of the test project: a test that serves pages brings its own."""

urlpatterns: list[object] = []
