"""
Put the ledger under fire, and print the figures. Fails if anything does not hold.

    scripts/soak --seconds 7200 --tasks 100
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
from collections.abc import Callable
from typing import Any

# How much more memory the end may have than the first quarter, as a share.
GROWTH = 0.25


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--tasks", type=int, default=40)
    parser.add_argument("--pool", type=int, default=10, help="its max_size")
    parser.add_argument("--seed", type=int, help="of the dice; a new one if not given")
    parser.add_argument("--sqlite", action="store_true", help="instead of PostgreSQL")
    return parser.parse_args()


def main() -> int:
    chosen = options()
    seed = random.randrange(10**6) if chosen.seed is None else chosen.seed
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    from tests.fix_db import default_database
    from tests.postgres import own_server
    from tests.settings import SQLITE_URL, database

    sys.stdout.write(f"seed {seed}, {chosen.tasks} tasks, a pool of {chosen.pool}\n")
    if chosen.sqlite:
        settings = database(SQLITE_URL)
        settings["OPTIONS"]["pool"] = {"max_size": chosen.pool}
        with default_database(settings):
            return soak(chosen, seed)
    with own_server() as server:
        settings = database(server.get_uri())
        settings["OPTIONS"]["pool"] = {"max_size": chosen.pool}

        def restart() -> None:
            server.stop()
            server.start()

        with default_database(settings):
            return soak(chosen, seed, server.get_uri(), restart)


def soak(
    chosen: argparse.Namespace,
    seed: int,
    url: str | None = None,
    restart: Callable[[], None] | None = None,
) -> int:
    """Run it on the default database; return the status of the process."""
    from django.core.management import call_command
    from django.db import connections

    from tests.soak.ledger import Ledger
    from tests.soak.ordeal import Ordeal

    call_command("migrate", verbosity=0)
    connections["default"].close()

    async def run() -> tuple[dict[str, Any], list[str]]:
        ledger = Ledger(random.Random(seed))
        await ledger.open()
        ordeal = Ordeal(ledger, tasks=chosen.tasks, kill_url=url, restart=restart)
        await ordeal.run(chosen.seconds)
        early, late = ordeal.memory
        if late > early * (1 + GROWTH):
            ordeal.wrong.append(f"The memory has grown: {ordeal.memory}.")
        return ordeal.figures(), ordeal.wrong

    figures, wrong = asyncio.run(run())
    for name, value in figures.items():
        sys.stdout.write(f"    {name:<26}{value}\n")
    for sentence in wrong[:20]:
        sys.stdout.write(f"WRONG: {sentence}\n")
    sys.stdout.write(f"{len(wrong) or 'Nothing'} wrong.\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
