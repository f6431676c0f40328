"""Users, sessions, bodies, forms and answers that need an `await` are found."""

# Not all helpers are annotated.
# mypy: disable-error-code="type-arg"

from __future__ import annotations

import pytest
from django import forms
from django.test import override_settings

from tests.orm.scenarios.reading import assert_found, found, function
from tests.records.models import Album
from vinyl.orm.lint.rules import find

IMPORTS = """\
from django.contrib.auth.decorators import login_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_POST
from django.forms import formset_factory, modelformset_factory
from tests.orm.lint.test_rules_requests import AlbumForm, SearchForm
from vinyl.web import JSONResponse, Request
from vinyl.web.views import View, DetailView
"""


class AlbumForm(forms.ModelForm):
    class Meta:
        model = Album
        fields = ("title", "artist")


class SearchForm(forms.Form):
    words = forms.CharField()


MISSING = {
    "a user's attribute": (
        "lazy",
        "request.user",
        """
        if request.user.is_authenticated:  # here
            return
        """,
    ),
    "a user's truth": ("lazy", "request.user", "return not request.user  # here"),
    "a user, compared": (
        "lazy",
        "request.user",
        "return pk.owner == request.user  # here",
    ),
    "a user in an f-string": (
        "lazy",
        "request.user",
        "return f'{request.user}'  # here",
    ),
    "a user's class": (
        "lazy",
        "request.user",
        "return isinstance(request.user, User)  # here",
    ),
    "a user in a query": (
        "lazy",
        "request.user",
        "return await Album.objects.filter(artist=request.user)  # here",
    ),
    "a user under another name": (
        "lazy",
        "user",
        "user = request.user\nreturn user.email  # here",
    ),
    "a user of an annotated request": (
        "lazy",
        "it.user",
        "async def view(it: Request):\n    return it.user.email  # here",
    ),
    "a user of Django's class": (
        "lazy",
        "it.user",
        "async def view(it: HttpRequest):\n    return it.user.email  # here",
    ),
    "a user in a view that is decorated": (
        "lazy",
        "request.user",
        """
        @require_POST
        @transaction.atomic
        async def view(request):
            return request.user.email  # here
        """,
    ),
    "a user in a method": (
        "lazy",
        "self.request.user",
        """
        class Home(View):
            async def get(self, request):
                return self.request.user.email  # here
        """,
    ),
    "a user in a method, by argument": (
        "lazy",
        "request.user",
        """
        class Home(DetailView):
            async def get(self, request, *args):
                return request.user.email  # here
        """,
    ),
    "a session's item": ("lazy", "request.session", "request.session['a']  # here"),
    "a session's new item": (
        "lazy",
        "request.session",
        "request.session['a'] = 1  # here",
    ),
    "a session's get": (
        "lazy",
        "request.session",
        "return request.session.get('a')  # here",
    ),
    "looking into a session": (
        "lazy",
        "request.session",
        "return 'a' in request.session  # here",
    ),
    "saving a session": (
        "call",
        "request.session.flush()",
        "request.session.flush()  # here",
    ),
    "JSON": ("call", "request.json()", "return request.json()['a']  # here"),
    "a body": ("call", "request.body()", "return len(request.body())  # here"),
    "a form's data": ("call", "request.form()", "data = request.form()['a']  # here"),
    "JSON in a method": (
        "call",
        "self.request.json()",
        """
        class Home(View):
            async def post(self, request):
                return self.request.json().get("a")  # here
        """,
    ),
    "a form": (
        "call",
        "form.is_valid()",
        "form = AlbumForm(await request.form())\nif form.is_valid():  # here\n    pass",
    ),
    "a form that is not loaded": (
        "call",
        "form.is_valid()",
        "form = UnheardForm(pk)\nif not form.is_valid():  # here\n    pass",
    ),
    "a form made on the spot": (
        "call",
        "SearchForm(pk).is_valid()",
        "return SearchForm(pk).is_valid() and pk  # here",
    ),
    "a form, saved": (
        "call",
        "form.save()",
        """
        form = AlbumForm(pk)
        if await form.is_valid():
            form.save()  # here
        """,
    ),
    "a form, saved later": (
        "call",
        "form.save(commit=False)",
        "form = AlbumForm(pk)\nalbum = form.save(commit=False)  # here",
    ),
    "a form, given": (
        "call",
        "it.is_valid()",
        "async def view(it: AlbumForm):\n    return not it.is_valid()  # here",
    ),
    "a formset": (
        "call",
        "forms.is_valid()",
        """
        Forms = modelformset_factory(Album, fields=["title"])
        forms = Forms(pk)
        if forms.is_valid():  # here
            return
        """,
    ),
    "rows in JSON": (
        "queryset",
        "Album.objects.values()",
        "return JSONResponse(Album.objects.values())  # here",
    ),
    "rows in Django's JSON": (
        "queryset",
        "albums",
        """
        albums = Album.objects.filter(pk=pk).values("title")
        return JsonResponse({"albums": [pk, albums]})  # here
        """,
    ),
    "rows in JSON by name": (
        "queryset",
        "Album.objects.values()",
        "return web.JSONResponse(content=(1, Album.objects.values()))  # here",
    ),
    "a count in JSON": (
        "call",
        "Album.objects.count()",
        "return JsonResponse({'count': Album.objects.count()})  # here",
    ),
    "rows in an f-string": (
        "queryset",
        "Album.objects.all()",
        "return f'all: {Album.objects.all()}'  # here",
    ),
    "rows as text": (
        "queryset",
        "Album.objects.all()",
        "return str(Album.objects.all())  # here",
    ),
    "rows, printed": (
        "queryset",
        "albums",
        "albums = Album.objects.all()\nprint('all', albums)  # here",
    ),
    "rows in a format": (
        "queryset",
        "Album.objects.all()",
        "return '{}'.format(Album.objects.all())  # here",
    ),
    "rows by percent": (
        "queryset",
        "Album.objects.all()",
        "return '%s' % Album.objects.all()  # here",
    ),
    "a call by percent": (
        "call",
        "Album.objects.count()",
        "return '%d of %s' % (Album.objects.count(), pk)  # here",
    ),
    "a call that is an argument of a query": (
        "call",
        "Artist.objects.first()",
        "await Album.objects.filter(artist=Artist.objects.first())  # here",
    ),
    "a call that is looked for": (
        "call",
        "Album.objects.count()",
        "return Album.objects.count() in {1, 2}  # here",
    ),
}

FINE = {
    "a user, awaited": """
        user = await request.user
        return user.is_authenticated, request.user.email, f"{request.user}"
        """,
    "a user, by Django's name": """
        user = await request.auser()
        return user.email == request.user.email
        """,
    "a user, gathered": """
        user, count = await asyncio.gather(request.user, Album.objects.count())
        return request.user.email
        """,
    "a user, handed on": """
        await register(request.user)
        return request.user.email
        """,
    "a request, handed on": """
        await register(request)
        return request.user.email, request.session["a"]
        """,
    "a user, assigned": "request.user = pk\nreturn request.user.email",
    "a user in a view for users": """
        @login_required
        async def view(request):
            return request.user.email, request.session["a"]
        """,
    "a user in a view with a decorator of the project's own": """
        @for_members
        async def view(request):
            return request.user.email
        """,
    "a user in a class for users": """
        class Home(LoginRequiredMixin, View):
            async def get(self, request):
                return self.request.user.email, self.request.session["a"]
        """,
    "a user in a class with a base of the project's own": """
        class Home(ForMembers, View):
            async def get(self, request):
                return self.request.user.email
        """,
    "a user of another class": """
        class Basket:
            async def total(self):
                return self.request.user.email
        """,
    "a user of a call": """
        async def view(it: Shelf, request: dict):
            return it.user.email, request.user.email, pk.request.user.email
        """,
    "a user who is shown": "print(f'{request.user!r}')",
    "a session, loaded": """
        session = await request.session
        session["a"] = 1
        return request.session["a"], "b" in request.session
        """,
    "a session, loaded with the user": """
        await request.user
        request.session["a"] = 1
        """,
    "a session, in Django's async names": """
        await request.session.aset("a", 1)
        await request.session.flush()
        return await request.session.aget("a"), request.session.session_key
        """,
    "a body, awaited": """
        data, body = await request.json(), await request.body()
        form = await request.form()
        async with request.form() as form:
            return data["a"], form["b"]
        """,
    "a body, waited for": "return await asyncio.wait_for(request.json(), 5)",
    "a form, awaited": """
        form = AlbumForm(await request.form())
        if await form.is_valid() and form.is_bound and not form.errors:
            album = await form.save()
            return album.title
        return form.as_p()
        """,
    "a form in the bridge": """
        form = AlbumForm(pk)
        def save():
            if form.is_valid():
                form.save()
        await run(save)
        await run(form.is_valid)
        """,
    "other forms": """
        async def view(form, request):
            other = make_form()
            if form.is_valid() or other.is_valid():
                form.save()
        """,
    "other forms that are not loaded": """
        form = UnheardForm(pk)
        form.save()
        return form.validate()
        """,
    "a form in a def": """
        def view(request):
            form = AlbumForm(request.POST)
            if form.is_valid():
                return request.user.email, request.session["a"], request.json()
        """,
    "rows, awaited": """
        albums = await Album.objects.values()
        print(f"{albums}", str(albums))
        return JSONResponse({"albums": albums, "all": await Album.objects.all()})
        """,
    "rows, awaited elsewhere": """
        albums = Album.objects.values()
        await albums
        return JsonResponse({"albums": albums})
        """,
    "rows of a relation": """
        album = await Album.objects.prefetch_related("tracks").get()
        return JSONResponse([1, album.tracks.all()])
        """,
    "rows, shown": """
        albums = Album.objects.all()
        print(repr(albums), f"{albums!r} {albums.query}", "%s" % albums.query)
        """,
}


@pytest.mark.parametrize(
    ("kind", "code", "source"), MISSING.values(), ids=MISSING.keys()
)
def test_is_found(kind: str, code: str, source: str) -> None:
    assert_found(kind, code, source, "request, pk", IMPORTS)


@pytest.mark.parametrize("source", FINE.values(), ids=FINE.keys())
def test_is_not_found(source: str) -> None:
    assert found(function(source, "request, pk", IMPORTS)) == []


USER = "return request.user.email, request.session['a'], request.json()['a']"


@pytest.mark.parametrize(
    ("settings", "kinds"),
    [
        ({}, ["lazy", "lazy", "call"]),
        ({"MIDDLEWARE": ["vinyl.web.auth.LoginRequiredMiddleware"]}, ["call"]),
        ({"MIDDLEWARE": ["django.contrib.sessions.middleware.SessionMiddleware"]}, []),
        ({"INSTALLED_APPS": ["vinyl.orm", "tests.records"]}, []),
    ],
    ids=["vinyl's", "for users only", "Django's handler", "without vinyl.web"],
)
def test_requests_are_those_of_the_settings(
    settings: dict[str, object], kinds: list[str]
) -> None:
    with override_settings(**settings):
        assert [kind for kind, *_ in found(function(USER, "request"))] == kinds


@pytest.mark.parametrize(
    ("source", "remedy"),
    [
        ("request.user.email", "`(await {}).email`"),
        ("print(request.user)", "`await {}`"),
        ("request.session.get('a')", "`(await {}).get`"),
        ("JsonResponse({'a': Album.objects.all()})", "`await {}`"),
    ],
)
def test_the_remedy(source: str, remedy: str) -> None:
    source = function(source, "request", IMPORTS)
    (one,) = find(source, "tests.records.views", "tests.records")
    assert one.remedy == remedy
