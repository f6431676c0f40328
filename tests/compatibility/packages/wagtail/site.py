import re

from django.urls import include, path
from wagtail import urls as wagtail_urls
from wagtail.admin import urls as wagtailadmin_urls
from wagtail.contrib.redirects.models import Redirect
from wagtail.documents import urls as wagtaildocs_urls
from wagtail.models import Page, Site

from tests.compatibility.packages.wagtail.models import Note, TextPage

urlpatterns = [
    path("cms/", include(wagtailadmin_urls)),
    path("documents/", include(wagtaildocs_urls)),
    path("", include(wagtail_urls)),
]


def step_pages(site):
    Site.objects.all().delete()
    Page.objects.filter(depth__gt=1).delete()
    root = Page.objects.get(depth=1)
    home = root.add_child(instance=TextPage(title="Home", body="<p>Sinnerman</p>"))
    home.add_child(instance=TextPage(title="News", slug="news"))
    Site.objects.create(hostname="127.0.0.1", root_page=home, is_default_site=True)
    site.ok("/", "Sinnerman", "/news/")
    site.ok("/news/", "News")
    assert site.get("/none/").status_code == 404


def step_redirect(site):
    Redirect.add_redirect("/old/", "/news/")
    response = site.get("/old/")
    assert (response.status_code, response.headers["Location"]) == (301, "/news/")


def step_login(site):
    site.login()
    site.logout()
    site.ok("/cms/login/", "password")
    response = site.post(
        "/cms/login/", data={"username": "nina", "password": "a password"}
    )
    assert response.status_code == 302, response.text[:500]
    site.ok("/cms/", "Dashboard")


def step_explorer(site):
    home = TextPage.objects.get(title="Home")
    site.ok(f"/cms/pages/{home.pk}/", "News")
    site.ok(f"/cms/pages/{home.pk}/edit/", "Sinnerman")


def step_edit_and_publish(site):
    home = TextPage.objects.get(title="Home")
    data = {
        "title": "Home",
        "slug": home.slug,
        "body": '{"blocks": [], "entityMap": {}}',
    }
    data |= {"comments-TOTAL_FORMS": "0", "comments-INITIAL_FORMS": "0"}
    data |= {"action-publish": "1", "seo_title": "", "search_description": ""}
    response = site.post(f"/cms/pages/{home.pk}/edit/", data={**data, "title": "Start"})
    assert response.status_code == 302, re.findall(r"error[^<]*<[^<]*", response.text)[
        :9
    ]
    site.ok("/", "Start")
    assert home.revisions.count() == 1
    site.ok(f"/cms/pages/{home.pk}/history/", "nina")


def step_preview(site):
    news = TextPage.objects.get(title="News")
    data = {"title": "Draft", "slug": "news", "body": '{"blocks": [], "entityMap": {}}'}
    data |= {"comments-TOTAL_FORMS": "0", "comments-INITIAL_FORMS": "0"}
    url = f"/cms/pages/{news.pk}/edit/preview/"
    assert site.post(url, data=data).json()["is_valid"]
    site.ok(f"{url}?mode=", "Draft")


def step_add_page(site):
    home = TextPage.objects.get(title="Start")
    url = f"/cms/pages/add/site/textpage/{home.pk}/"
    site.ok(url, "title")
    data = {"title": "New", "slug": "new", "body": '{"blocks": [], "entityMap": {}}'}
    data |= {"comments-TOTAL_FORMS": "0", "comments-INITIAL_FORMS": "0"}
    response = site.post(url, data={**data, "action-publish": "1"})
    assert response.status_code == 302, response.text[:500]
    site.ok("/new/", "New")


def step_snippets(site):
    response = site.post("/cms/snippets/site/note/add/", data={"text": "A note"})
    assert response.status_code == 302, response.text[:500]
    assert Note.objects.get().text == "A note"
    site.ok("/cms/snippets/site/note/", "A note")


def step_documents(site):
    site.ok("/cms/documents/multiple/add/")
    response = site.post(
        "/cms/documents/multiple/add/",
        data={"title": "Lyrics"},
        files={"files[]": ("lyrics.txt", b"Oh, sinnerman")},
        headers={"X-Requested-With": "XMLHttpRequest"},
    )
    assert response.json()["success"], response.text
    site.ok("/cms/documents/", "lyrics.txt")
    from wagtail.documents import get_document_model

    url = get_document_model().objects.get().url
    assert site.ok(url).content == b"Oh, sinnerman"


def step_search(site):
    site.ok("/cms/pages/search/?q=New", "New")
    site.ok("/cms/reports/site-history/", "nina")
    site.ok("/cms/users/", "nina")
