import django_filters
import django_tables2
from crispy_forms.helper import FormHelper
from crispy_forms.layout import Layout, Submit
from django import forms
from django.shortcuts import render
from django.urls import path
from django.views.generic import CreateView
from django_filters.views import FilterView

from tests.compatibility.shop.models import Album, Artist, stock_the_shop


class AlbumTable(django_tables2.Table):
    artist = django_tables2.Column(accessor="artist__name")

    class Meta:
        model = Album
        fields = ["title", "year", "artist"]


class AlbumFilter(django_filters.FilterSet):
    title = django_filters.CharFilter(lookup_expr="icontains")
    from_year = django_filters.NumberFilter("year", lookup_expr="gte")

    class Meta:
        model = Album
        fields = ["artist"]


class Albums(django_tables2.SingleTableMixin, FilterView):
    table_class = AlbumTable
    filterset_class = AlbumFilter
    template_name = "tables_and_crispy/list.html"
    paginate_by = 2


class AlbumForm(forms.ModelForm):
    class Meta:
        model = Album
        fields = ["title", "year", "artist"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.helper = FormHelper()
        self.helper.layout = Layout("title", "year", "artist", Submit("go", "Save"))


class Create(CreateView):
    form_class = AlbumForm
    template_name = "tables_and_crispy/form.html"
    success_url = "/albums/"


def plain(request):
    filter = AlbumFilter(request.GET, queryset=Album.objects.all())
    table = AlbumTable(filter.qs)
    django_tables2.RequestConfig(request, paginate={"per_page": 2}).configure(table)
    context = {"filter": filter, "table": table}
    return render(request, "tables_and_crispy/list.html", context)


urlpatterns = [
    path("albums/", Albums.as_view()),
    path("plain/", plain),
    path("create/", Create.as_view()),
]


def step_table(site):
    stock_the_shop()
    for url in ("/albums/", "/plain/"):
        page = site.ok(url, "Pastel Blues", "Wild", "Nina Simone").text
        assert "Silk" not in page
        site.ok(f"{url}?page=2", "Silk")


def step_sorted(site):
    page = site.ok("/albums/?sort=-year", "Silk", "Wild").text
    assert "Pastel Blues" not in page


def step_filters(site):
    page = site.ok("/albums/?title=wil&from_year=1966", "Wild").text
    assert "Silk" not in page


def step_crispy_form(site):
    site.ok("/create/", "form-control", "Save", "Nina Simone")
    response = site.post("/create/", data={"title": "", "year": "x"})
    assert "invalid-feedback" in response.text


def step_crispy_form_saves(site):
    data = {"title": "New", "year": "1970", "artist": str(Artist.objects.get().pk)}
    assert site.post("/create/", data=data).status_code == 302
    assert Album.objects.filter(title="New").exists()
