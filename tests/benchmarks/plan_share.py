"""
How many of the queries of the example shop have a plan, and why the others have none.

    scripts/bench plan_share
    scripts/bench plan_share --visits 2000

A visitor asks for pages of the shop, drawn at random, and writes a review now and then.
The queries that read rows are counted after a warm-up of as many visits, in which plans
are made.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.benchmarks.outages import ROOT, Shop
from tests.postgres import empty_database, postgres_server

if TYPE_CHECKING:
    from collections import Counter

# Of the random choices.
SEED = 12


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench plan_share")
    parser.add_argument("--visits", type=int, default=500)
    # In the process that serves the shop, which reads the pages from its input.
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


async def visit(shop: Shop, visits: int) -> Counter[str]:
    """Return the number of queries with a plan, as `plan`, and of others by reason."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
    django.setup()
    from tests.django_suite.plan_counts import count_plans
    from vinyl.web.testing import client

    counts = count_plans()
    random.seed(SEED)
    async with client(base_url="http://127.0.0.1") as http:
        for number in range(2 * visits):
            if number == visits:
                counts.clear()
            method, path, form = shop.request()
            response = await http.request(method, path, data=form)
            # A review that is refused, since the form was sent before, counts as well.
            if response.status_code >= 500:
                raise RuntimeError(f"{method} {path} got {response.status_code}.")
    return counts


def report(counts: Counter[str]) -> None:
    total = counts.total()
    sys.stdout.write(f"{total} queries that read rows\n")
    for reason, number in counts.most_common():
        sys.stdout.write(f"{number:>8} {number / total:>7.1%}  {reason}\n")


def main() -> None:
    chosen = options()
    if chosen.serve:
        shop = Shop.__new__(Shop)
        shop.albums, shop.artists = json.load(sys.stdin)
        report(asyncio.run(visit(shop, chosen.visits)))
        return
    with (
        postgres_server() as server,
        empty_database(server) as url,
        tempfile.TemporaryDirectory() as folder,
    ):
        shop = Shop(ROOT, Path(folder), url)
        command = [sys.executable, "-m", __spec__.name]
        command += ["--visits", str(chosen.visits), "--serve"]
        pages = json.dumps([shop.albums, shop.artists])
        path = os.pathsep.join([str(ROOT), str(shop.folder)])
        environment = {**shop.environment, "PYTHONPATH": path}
        subprocess.run(
            command,
            cwd=shop.folder,
            env=environment,
            input=pages,
            text=True,
            check=True,
        )


if __name__ == "__main__":
    main()
