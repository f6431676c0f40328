"""`scripts/bench middleware`: that all ways to serve the site answer alike."""

from __future__ import annotations

import pytest

from tests.benchmarks.middleware.__main__ import PAGES, agree, ask, serving_in
from tests.benchmarks.middleware.ways import command_of, ways

# Not gunicorn, which only scripts/bench installs.
NAMES = ["stock", "bridged", "web"]


def test_all_ways_answer_alike() -> None:
    with serving_in(NAMES, 2, rows=3) as (servers, cookie):
        assert [server.title for server in servers] == [
            ways(2)[name].title for name in NAMES
        ]
        agree(servers, cookie)
        for server in servers:
            for path in PAGES:
                answer = ask(server, path, cookie)
                assert answer.startswith("200 ['asia', 'en"), server
                assert answer.count("<tr>") == 3, server
        with pytest.raises(RuntimeError, match="answers /plain/ with"):
            agree(servers, "sessionid=another")


def test_django_is_served_by_wsgi_with_as_many_threads_as_connections() -> None:
    command = command_of(ways(6)["wsgi"], 8000)
    assert command[1:3] == ["-m", "gunicorn"]
    assert command[command.index("--threads") + 1] == "6"
