"""The accounts, what is done with them, and what must hold in the end."""

# django-stubs declares the sync API alone, without what vinyl makes of it.
# mypy: disable-error-code="attr-defined, misc"
# Not all helpers are annotated.
# mypy: disable-error-code="var-annotated"

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine
from typing import Any

from django.db.models import F, Sum

from tests.records.models import Account, Entry
from vinyl.exceptions import ScopeClosedError
from vinyl.orm import await_, connection, fetch, run, transaction

__all__ = ["Ledger"]

ACCOUNTS = 20
BALANCE = 1_000


class Refused(Exception):
    """A transfer that is called off half-way."""


class Ledger:
    """
    A number of accounts, and the work on them, each a method that tasks await.

    Args:
        dice: Decides what is random.
        marks: A prefix that sets the transfers of this ledger apart.
    """

    def __init__(self, dice: random.Random, marks: str = "") -> None:
        self.dice = dice
        self.marks = marks
        self.begun = 0
        # A stream holds one connection, and its body asks for another.
        self.streams = asyncio.Semaphore(5)
        # The transfers whose block was left without an error, and how many entries
        # each must have.
        self.acknowledged: dict[str, int] = {}
        # Those whose hook of on_commit() ran.
        self.committed: set[str] = set()
        # What outlives the block it was started in, until it has ended; and how often
        # that was refused.
        self.strays: set[asyncio.Task[None]] = set()
        self.refused_strays = 0
        # What strays wrote, or failed with, in sentences.
        self.wrong: list[str] = []
        self.works = {
            self.transfer: 8,
            self.transfer_in_bridge: 4,
            self.transfer_retried: 4,
            self.transfer_of_siblings: 3,
            self.transfer_outlived: 3,
            self.transfer_in_bridge_outlived: 2,
            self.refused: 3,
            self.read: 8,
            self.balances: 4,
            self.stream: 3,
            self.raw: 2,
            self.pinned: 1,
        }

    async def open(self) -> None:
        """Open the accounts, in empty tables."""
        await Account.objects.bulk_create(
            Account(balance=BALANCE) for _ in range(ACCOUNTS)
        )
        self.keys = await Account.objects.values_list("pk", flat=True)

    def pick(self) -> str:
        """The name of some work, by its weight."""
        [work] = self.dice.choices(list(self.works), list(self.works.values()))
        return work.__name__

    def mark(self) -> str:
        self.begun += 1
        return f"{self.marks}{self.begun}"

    def parties(self) -> tuple[int, int, int]:
        source, target = self.dice.sample(list(self.keys), 2)
        return source, target, self.dice.randint(1, 50)

    # Work that writes

    async def post(self, key: int, mark: str, amount: int) -> None:
        await Account.objects.filter(pk=key).update(balance=F("balance") + amount)
        await Entry.objects.create(account_id=key, mark=mark, amount=amount)

    async def transfer(self) -> None:
        mark, (source, target, amount) = self.mark(), self.parties()
        async with transaction.atomic():
            transaction.on_commit(lambda: self.committed.add(mark))
            # In one order, so that this one alone meets no deadlock.
            legs = sorted([(source, -amount), (target, amount)])
            await self.post(legs[0][0], mark, legs[0][1])
            async with transaction.atomic():
                await self.post(legs[1][0], mark, legs[1][1])
        self.acknowledged[mark] = 2

    async def transfer_in_bridge(self) -> None:
        mark, (source, target, amount) = self.mark(), self.parties()

        def work() -> None:
            with transaction.atomic():
                transaction.on_commit(lambda: self.committed.add(mark))
                accounts = Account.objects.select_for_update().order_by("pk")
                for account in accounts.filter(pk__in=[source, target]):
                    change = amount if account.pk == target else -amount
                    account.balance += change
                    account.save()
                    account.entries.create(mark=mark, amount=change)

        await run(work)
        self.acknowledged[mark] = 2

    async def transfer_retried(self) -> None:
        """In any order, so that deadlocks happen."""
        mark, (source, target, amount) = self.mark(), self.parties()

        @transaction.retry_on_conflict(attempts=10)
        @transaction.atomic
        async def work() -> None:
            transaction.on_commit(lambda: self.committed.add(mark))
            await self.post(source, mark, -amount)
            await self.post(target, mark, amount)

        await work()
        self.acknowledged[mark] = 2

    async def transfer_of_siblings(self) -> None:
        """Both legs at once, in tasks that share the transaction."""
        mark, (source, target, amount) = self.mark(), self.parties()
        async with transaction.atomic():
            transaction.on_commit(lambda: self.committed.add(mark))
            # Locked in one order first.
            await (
                Account.objects.select_for_update()
                .filter(pk__in=[source, target])
                .order_by("pk")
            )
            async with asyncio.TaskGroup() as group:
                group.create_task(self.post(source, mark, -amount))
                group.create_task(self.post_nested(target, mark, amount))
                group.create_task(run(Account.objects.count))
        self.acknowledged[mark] = 2

    async def post_nested(self, key: int, mark: str, amount: int) -> None:
        async with transaction.atomic():
            await self.post(key, mark, amount)

    async def refused(self) -> None:
        """Called off, in whole or in the savepoint."""
        mark, (source, target, amount) = self.mark(), self.parties()
        whole = self.dice.random() < 0.5
        try:
            async with transaction.atomic():
                try:
                    async with transaction.atomic():
                        await self.post(source, mark, -amount)
                        raise Refused
                except Refused:
                    if whole:
                        raise
                await self.post(target, mark, 0)
            self.acknowledged[mark] = 1
        except Refused:
            self.acknowledged[mark] = 0

    async def transfer_outlived(self) -> None:
        """
        Tasks that its block does not wait for come too late, however they wait: for
        their turn while it is left, for a nested block, in a run or asleep.
        """
        mark, (source, target, amount) = self.mark(), self.parties()
        async with transaction.atomic():
            transaction.on_commit(lambda: self.committed.add(mark))
            legs = sorted([(source, -amount), (target, amount)])
            await self.post(legs[0][0], mark, legs[0][1])
            async with transaction.atomic():
                await self.post(legs[1][0], mark, legs[1][1])
                self.start_strays(source)
            self.start_strays(source)
        self.acknowledged[mark] = 2

    async def transfer_in_bridge_outlived(self) -> None:
        mark, (source, target, amount) = self.mark(), self.parties()

        def work() -> None:
            with transaction.atomic():
                transaction.on_commit(lambda: self.committed.add(mark))
                for key, change in sorted([(source, -amount), (target, amount)]):
                    account = Account.objects.select_for_update().get(pk=key)
                    account.balance += change
                    account.save()
                    account.entries.create(mark=mark, amount=change)
                self.start_strays(source)
            # The run goes on with the connection, and lets others have it.
            await_(asyncio.sleep(self.dice.random() / 200))

        await run(work)
        self.acknowledged[mark] = 2

    def start_strays(self, key: int) -> None:
        """
        Start tasks that must not write any more. They are not cancelled with this one.
        """
        works = [self.post, self.post_nested, self.post_in_run]
        for work in self.dice.sample(works, 2):
            task = asyncio.create_task(self.stray(work(key, self.mark(), 7)))
            self.strays.add(task)
            task.add_done_callback(self.strays.discard)

    async def stray(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except ScopeClosedError:
            self.refused_strays += 1
        except Exception as error:
            self.wrong.append(f"What outlived its block failed otherwise: {error!r}")
        else:
            self.wrong.append("What outlived its block has written.")

    async def post_in_run(self, key: int, mark: str, amount: int) -> None:
        def work() -> None:
            await_(asyncio.sleep(self.dice.random() / 100))
            with transaction.atomic():
                Entry.objects.create(account_id=key, mark=mark, amount=amount)

        await run(work)

    # Work that reads

    async def read(self) -> None:
        entry = await Entry.objects.filter(account_id=self.parties()[0]).afirst()
        if entry is not None:
            account = await entry.account
            assert account.pk == entry.account_id

    async def balances(self) -> None:
        """One statement sees one state, in which the sum is what it always is."""
        found = await Account.objects.aggregate(sum=Sum("balance"))
        assert found["sum"] == ACCOUNTS * BALANCE, found

    async def stream(self) -> None:
        limit = self.dice.randint(1, 400)
        seen = 0
        async with self.streams:
            async for entry in Entry.objects.order_by("pk").iterator(chunk_size=50):
                seen += 1
                if seen >= limit:
                    break
                if seen % 100 == 0:
                    await fetch(entry, "account")

    async def raw(self) -> None:
        async with connection.cursor() as cursor:
            await cursor.execute("SELECT sum(balance) FROM records_account")
            assert await cursor.fetchone() == (ACCOUNTS * BALANCE,)

    async def pinned(self) -> None:
        async with connection.pinned():
            await Account.objects.count()
            await self.balances()

    # What must hold

    async def audit(self) -> list[str]:
        """What does not hold, in sentences: nothing, if all is well."""
        if self.strays:
            await asyncio.wait(self.strays)
        wrong = list(self.wrong)
        accounts = await Account.objects.annotate(posted=Sum("entries__amount"))
        if sum(account.balance for account in accounts) != ACCOUNTS * BALANCE:
            wrong.append(f"The balances do not add up: {accounts}.")
        wrong += [
            f"Account {account} has entries of {account.posted or 0} in all."
            for account in accounts
            if account.balance != BALANCE + (account.posted or 0)
        ]
        marks = Entry.objects.filter(mark__startswith=self.marks)
        found = Counter(await marks.values_list("mark", flat=True))
        wrong += [
            f"Transfer {mark} was acknowledged and has {found[mark]} of {legs} entries."
            for mark, legs in self.acknowledged.items()
            if found[mark] != legs
        ]
        wrong += [
            f"Transfer {mark} ran its hook and has {found[mark]} entries."
            for mark in self.committed
            if found[mark] != 2
        ]
        halves = Entry.objects.values("mark").annotate(sum=Sum("amount")).exclude(sum=0)
        wrong += [f"Transfer {half['mark']} is half there." for half in await halves]
        return wrong
