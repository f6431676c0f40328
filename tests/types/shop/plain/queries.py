"""What vinyl.mypy_plugin adds: see `queries.py` of the other application."""

from typing import Any, assert_type

from django import forms
from django.contrib.auth.models import User

from vinyl.orm import models

from .models import Author, Book


class BookForm(forms.ModelForm[Book]):
    class Meta:
        model = Book
        fields = ["year"]


async def read(book: Book, author: Author, user: User) -> None:
    assert_type(await Book.objects.get(pk=1), Book)
    assert_type(await Book.objects.recent().first(), Book | None)
    assert_type(await Book.objects.recent(), list[Book])
    assert_type(await Book.objects.all(), list[Book])
    assert_type(await Book.objects.count(), int)
    assert_type(book.year, int | None)
    assert_type(await book.author, Author)
    assert_type(book.author.name, str)
    assert_type(book.author_id, int)
    assert_type(await book.editor, Author | None)
    assert_type(await book.owner, User)
    assert_type(await author.books.count(), int)
    assert_type(await author.books.all(), list[Book])
    assert_type([book async for book in author.books.all()], list[Book])
    assert_type(await author.read.all(), list[Book])
    assert_type(await book.readers.all(), list[Author])
    await author.books.add(book)
    await book.readers.add(author)
    assert_type(await user.books.first(), Book | None)
    assert_type(await user.author, Author)


async def read_rows() -> None:
    for row in await Book.objects.values("year"):
        assert_type(row["year"], int | None)
    assert_type(await Author.objects.values_list("id", "name"), list[tuple[int, str]])
    assert_type(await Author.objects.values_list("name", flat=True), list[str])
    async for name in Author.objects.values_list("name", flat=True).iterator(100):
        assert_type(name, str)
    for each in await Author.objects.annotate(n=models.Count("books")).filter(n=1):
        assert_type(each.n, int)
        assert_type(each.name, str)


async def use_djangos_models(user: User) -> None:
    assert_type(await User.objects.get(pk=1), User)
    assert_type(await User.objects.filter(pk=1), list[User])
    assert_type(await User.objects.filter(pk=1).first(), User | None)
    assert_type(await User.objects.create_user("nina"), User)
    assert_type(await User.objects.aget(pk=1), User)
    names: list[Any] = await User.objects.values_list("username", flat=True)
    assert names


async def validate(data: dict[str, Any]) -> None:
    form = BookForm(data)
    if await form.is_valid():
        assert_type(await form.save(), Book)
