"""
A primary is killed under load, and its standby is promoted: errors, the time until
writes and reads succeed again, and whether anything acknowledged is lost.

    scripts/bench failover

A standby replicates the primary by streaming, with `synchronous_commit = remote_apply`.
Writers and readers use one pool, whose HOST names both servers. The primary is killed
(SIGKILL), and some time later the standby is promoted, as a failover manager does it.
"""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.standby import Pair


@dataclass
class Found:
    """What the clients of one run have seen. Times are those of time.monotonic()."""

    acknowledged: set[str] = field(default_factory=set)
    # The attempts that raised an error, by the kind of client and the error's class.
    errors: Counter[tuple[str, type[Exception]]] = field(default_factory=Counter)
    # The first line of each error, for the report.
    messages: Counter[str] = field(default_factory=Counter)
    # When each attempt succeeded.
    writes: list[float] = field(default_factory=list)
    reads: list[float] = field(default_factory=list)
    # The longest attempt of each kind that succeeded, in seconds.
    slowest: dict[str, float] = field(default_factory=dict)
    killed: float = 0.0
    # When the promotion of the standby began.
    promoting: float = 0.0
    # The rows of `acknowledged` that the promoted server does not have.
    lost: set[str] = field(default_factory=set)


async def fail_over(
    pair: Pair, *, clients: int, successes: int, detection: float
) -> Found:
    """
    Kill the primary after *successes* writes and as many reads, promote the standby
    *detection* seconds later, and end when there were as many again.

    Args:
        pair: Its settings are those of the default database.
        clients: The number of writers with one statement, of writers with a block, and
            of readers.
    """
    from tests.records.models import Artist
    from vinyl.orm import transaction

    found = Found()
    ended = asyncio.Event()

    async def write(name: str) -> None:
        await Artist.objects.create(name=name)
        found.acknowledged.add(name)

    async def write_in_block(name: str) -> None:
        async with transaction.atomic():
            artist = await Artist.objects.create(name=f"{name} in a block")
            artist.name = name
            await artist.save()
        found.acknowledged.add(name)

    async def read(name: str) -> None:
        await Artist.objects.filter(name=name).exists()

    async def work(kind: str, number: int) -> None:
        attempt = {"write": write, "block": write_in_block, "read": read}[kind]
        done = found.reads if kind == "read" else found.writes
        count = 0
        while not ended.is_set():
            count += 1
            begun = time.monotonic()
            try:
                await attempt(f"{kind} {number} {count}")
            except Exception as error:
                found.errors[kind, type(error)] += 1
                found.messages[f"{kind}: {str(error).splitlines()[0]}"] += 1
            else:
                done.append(now := time.monotonic())
                found.slowest[kind] = max(found.slowest.get(kind, 0), now - begun)
            # An attempt that fails at once must not keep the loop.
            await asyncio.sleep(0.001)

    async def until_more() -> None:
        reads, writes = len(found.reads), len(found.writes)
        while min(len(found.reads) - reads, len(found.writes) - writes) < successes:
            await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as group:
        for number in range(clients):
            for kind in ("write", "block", "read"):
                group.create_task(work(kind, number))
        await until_more()
        pair.kill_primary()
        found.killed = time.monotonic()
        await asyncio.sleep(detection)
        found.promoting = time.monotonic()
        await asyncio.to_thread(pair.promote)
        await until_more()
        ended.set()
    names = Artist.objects.values_list("name", flat=True)
    found.lost = found.acknowledged - set(await names)
    return found


def after(times: list[float], moment: float) -> float:
    """The seconds from *moment* to the first of *times* after it."""
    return min(then for then in times if then > moment) - moment


def report(found: Found) -> None:
    lines = [
        f"acknowledged writes        {len(found.acknowledged):>8}",
        f"  lost                     {len(found.lost):>8}",
        f"reads                      {len(found.reads):>8}",
        f"killed until promotion     {found.promoting - found.killed:>8.2f} s",
        f"  until a write succeeded  {after(found.writes, found.promoting):>8.2f} s",
        f"  until a read succeeded   {after(found.reads, found.promoting):>8.2f} s",
    ]
    for kind, seconds in sorted(found.slowest.items()):
        lines.append(f"slowest {kind:<19}{seconds:>8.2f} s")
    for (kind, error), number in sorted(found.errors.items(), key=str):
        lines.append(f"{kind}: {error.__name__} {number:>8}")
    for message, number in found.messages.most_common(8):
        lines.append(f"  {number:>5} {message}")
    sys.stdout.write("\n".join(lines) + "\n")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench failover", description=__doc__)
    parser.add_argument("--clients", type=int, default=10, help="of each kind")
    parser.add_argument(
        "--successes", type=int, default=2000, help="writes and reads on each side"
    )
    parser.add_argument(
        "--detection",
        type=float,
        default=5,
        help="seconds until the standby is promoted",
    )
    parser.add_argument(
        "--reconnect-timeout", type=float, default=30, help="the option of the pool"
    )
    return parser.parse_args()


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()
    from django.core.management import call_command

    from tests.fix_db import default_at, default_database
    from tests.postgres import own_server
    from tests.settings import database
    from tests.standby import primary_with_standby

    chosen = options()
    with own_server() as primary, default_database(database(primary.get_uri())):
        call_command("migrate", verbosity=0)
        with primary_with_standby(primary) as pair:
            settings = pair.settings
            settings["OPTIONS"]["pool"] = {
                "reconnect_timeout": chosen.reconnect_timeout
            }
            with default_at(**settings):
                report(
                    asyncio.run(
                        fail_over(
                            pair,
                            clients=chosen.clients,
                            successes=chosen.successes,
                            detection=chosen.detection,
                        )
                    )
                )


if __name__ == "__main__":
    main()
