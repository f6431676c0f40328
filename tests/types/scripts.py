"""Code of a project that uses the ORM in both modes, as its author annotates it."""

from vinyl.orm import connection, connections, run, transaction


async def write() -> None:
    async with transaction.atomic():
        async with transaction.atomic(using="default", savepoint=False):
            pass
    async with connection.cursor() as cursor:
        await cursor.execute("SELECT %s", [1])
        rows = await cursor.fetchall()
        assert rows
        assert cursor.description
        async for row in cursor:
            assert row
    async with connections["other"].chunked_cursor() as cursor:
        await cursor.execute("SELECT 1")
    async with connection.pinned():
        await connection.set_autocommit(False)
        await connection.commit()
        assert not await transaction.get_autocommit()
    async with connection.listen("a", timeout=5) as notifications:
        async for notification in notifications:
            assert notification.payload
    await transaction.on_commit(sync)
    await transaction.rollback()
    await transaction.savepoint_commit(await transaction.savepoint_create())


@transaction.atomic
async def decorated(a: int) -> str:
    return "x"


@transaction.atomic(using="other")
async def decorated_too(a: int) -> str:
    return "x"


@transaction.retry_on_conflict(attempts=3)
@transaction.atomic
async def retried(a: int) -> str:
    return "x"


def sync() -> None:
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.fetchone()
    with connection.pinned():
        pass


async def call() -> None:
    texts: list[str] = [await decorated(1), await retried(1)]
    await run(sync)
    assert texts
