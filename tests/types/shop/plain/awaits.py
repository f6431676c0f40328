"""
A forgotten `await`, which vinyl.mypy_plugin reports in async functions: each
`type: ignore` here hides an error.
"""

# mypy: enable-error-code="truthy-bool"

import asyncio
import logging
from typing import assert_type

from django.contrib.auth.models import User

from vinyl.orm import Dual, run, use_driver
from vinyl.web import JSONResponse, Request, Response, get_object_or_404, render

from .models import Author, Book
from .queries import BookForm


def squared(n: int) -> int:
    return n * n


def count(author: Author) -> Dual[int]:
    return author.books.count()


@use_driver
def count_in_bridge() -> int:
    return Book.objects.count()


async def compare() -> bool:
    assert 3 < Book.objects.count()  # type: ignore[missing-await]
    assert User.objects.count() == 3  # type: ignore[missing-await]
    return Book.objects.first() is None  # type: ignore[missing-await]


async def test_truth(author: Author, form: BookForm) -> int:
    if Book.objects.exists():  # type: ignore[missing-await]
        return 1
    if author.name and not author.books.exists():  # type: ignore[missing-await]
        return 2
    while author.name and author.books.exists():  # type: ignore[missing-await]
        return 3
    if book := Book.objects.recent().first():  # type: ignore[missing-await]
        assert_type(book, Book)
    if form.is_valid():  # type: ignore[missing-await]
        return 4
    match author.name:
        case "x" if author.books.exists():  # type: ignore[missing-await]
            return 7
    found = [x for x in "ab" if count_in_bridge()]  # type: ignore[missing-await]
    found += {x: x for x in "ab" if count_in_bridge()}  # type: ignore[missing-await]
    return 5 if found or count(author) else 6  # type: ignore[missing-await]


async def use_local_function() -> bool:
    @use_driver
    def count_twice() -> int:
        return Book.objects.count() * 2

    return not count_twice()  # type: ignore[missing-await]


async def test_variable() -> None:
    exists = Book.objects.exists()
    if exists:  # type: ignore[truthy-bool]
        await exists


async def calculate() -> float:
    n: int = Book.objects.count()  # type: ignore[assignment]
    squared(Book.objects.count())  # type: ignore[arg-type]
    assert f"{Book.objects.count()} books"  # type: ignore[missing-await]
    total = 1 + Book.objects.count()  # type: ignore[missing-await]
    total += Book.objects.count()  # type: ignore[operator]
    return -count_in_bridge() + n  # type: ignore[missing-await]


async def hand_over(author: Author, request: Request) -> Response:
    print(Book.objects.count())  # type: ignore[missing-await]  # noqa: T201
    logging.info("%s", author.books.count())  # type: ignore[missing-await]
    assert str(count(author)), repr(count(author))  # type: ignore[missing-await]
    found: dict[str, object] = {"n": count(author)}  # type: ignore[missing-await]
    found["n"] = await count(author)
    if found:
        return JSONResponse({"n": [count(author)]})  # type: ignore[missing-await]
    n = count(author)
    context = {"n": await n, "books": author.books.all()}
    if author.name:
        return await render(request, "a.html", context)
    return await render(
        request,
        "a.html",
        {"book": Book.objects.first()},  # type: ignore[missing-await]
    )


async def read(author: Author, form: BookForm) -> int:
    assert Book.objects.get(pk=1).year  # type: ignore[attr-defined]
    assert Book.objects.all()[0].year  # type: ignore[attr-defined]
    assert get_object_or_404(Book, pk=1).year  # type: ignore[attr-defined]
    Book.objects.get_or_create(year=1)[0]  # type: ignore[index]
    for number in Book.objects.in_bulk():  # type: ignore[attr-defined]
        assert number
    assert form.save().year  # type: ignore[attr-defined]
    return author.books.count()  # type: ignore[return-value]


async def write(author: Author, book: Book) -> None:
    Book.objects.create(year=1)  # type: ignore[unused-coroutine]
    author.books.add(book)  # type: ignore[unused-coroutine]
    book.save()  # type: ignore[unused-coroutine]
    book.refresh_from_db()  # type: ignore[unused-coroutine]
    count_in_bridge()  # type: ignore[unused-coroutine]

    async def nested() -> None:
        book.delete()  # type: ignore[unused-coroutine]

    await nested()


async def await_later(author: Author, book: Book) -> None:
    counting = Book.objects.count()
    assert await counting > 3
    assert_type(await asyncio.create_task(Book.objects.get(pk=1)), Book)
    first, exists = await asyncio.gather(Book.objects.first(), author.books.exists())
    assert_type(first, Book | None)
    assert_type(exists, bool)
    async with asyncio.TaskGroup() as group:
        group.create_task(book.save())
    calls: list[Dual[int]] = [Book.objects.count(), count(author)]
    assert [await call for call in calls]
    call: Dual[int] | None = Book.objects.count()
    assert call
    assert [each for each in [1, 2] if await Book.objects.filter(pk=each).exists()]
    assert f"{await Book.objects.count()}"
    if (n := await Book.objects.count()) and not await author.books.exists():
        assert_type(n, int)


async def use_plain_functions(author: Author) -> None:
    def twice() -> int:
        if Book.objects.exists():
            return Book.objects.count() * 2
        name: str = Book.objects.get(pk=1).author.name
        return len(name)

    assert await run(twice)
    assert await run(lambda: Book.objects.count() > 3)


class Plain:
    async def read(self) -> None:
        self.n = Book.objects.count()

    def read_plainly(self) -> bool:
        return Book.objects.count() > 3 and Book.objects.get(pk=1).author.name == "x"
