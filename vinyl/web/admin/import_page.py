"""The page of an import: upload, choice of columns, preview, and saving."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.core import signing
from django.core.exceptions import (
    ImproperlyConfigured,
    PermissionDenied,
    ValidationError,
)
from django.template import loader
from django.template.response import TemplateResponse
from django.utils.translation import gettext

from vinyl.web.admin.cells import refusal
from vinyl.web.admin.importing import Import, guessed
from vinyl.web.admin.outcome import Tally
from vinyl.web.admin.progress import Result, streamed
from vinyl.web.admin.tables import ENCODINGS, Table, read_table

__all__ = ["import_page"]

# Rows with errors, and rows with changes, that a preview shows.
MAX_SHOWN = 100

# A preview of more rows shows its progress.
LONG = 1000

# How long the file of a preview can be saved, in seconds.
MAX_AGE = 24 * 60 * 60


def import_page(model_admin: Any, request: Any) -> Any:
    """
    Return the response of one step. The file goes from step to step in the page, signed
    for its model and visitor. Switches to the event loop.

    Raises:
        PermissionDenied: `has_import_permission()` says so.
        ImproperlyConfigured: `get_import_fields()` has one that cannot be filled.
    """
    if not model_admin.has_import_permission(request):
        raise PermissionDenied
    page = _Page(model_admin, request)
    if request.method == "POST":
        try:
            return page.take_file()
        except ValidationError as error:
            page.context["errors"] = error.messages
    return page.response()


class _Page:
    def __init__(self, model_admin: Any, request: Any) -> None:
        self.admin = model_admin
        self.request = request
        self.names = [*model_admin.get_import_fields(request)]
        for name in self.names:
            if reason := refusal(model_admin.model, name):
                raise ImproperlyConfigured(
                    f"{type(model_admin).__name__} imports {name!r}, which an import "
                    f"cannot fill: {reason}. Leave it out of import_fields."
                )
        self.salt = f"vinyl.import:{model_admin.opts.label_lower}:{request.user.pk}"
        self.context: dict[str, Any] = {
            **model_admin.admin_site.each_context(request),
            "title": gettext("Import %(name)s")
            % {"name": model_admin.opts.verbose_name_plural},
            "opts": model_admin.opts,
            "names": self.names,
            "encodings": ENCODINGS,
            "errors": [],
            "table": None,
        }

    def response(self) -> TemplateResponse:
        self.request.current_app = self.admin.admin_site.name
        return TemplateResponse(self.request, "admin/import.html", self.context)

    def take_file(self) -> Any:
        data, encoding = self._file()
        table = read_table(data, encoding, self.admin.import_max_rows)
        post = self.request.POST
        if "source" in post:
            chosen = [post.get(f"column-{i}", "") for i in range(len(table.header))]
            mapping = [name if name in self.names else "" for name in chosen]
        else:
            mapping = guessed(table, self.names, self.admin.model)
        self.context |= {
            "table": table,
            "mapping": mapping,
            "source": signing.dumps(
                [data.decode("latin-1"), encoding], salt=self.salt, compress=True
            ),
            "digest": "",
            "counts": None,
            "may_save": False,
            "failed": [],
            "changing": [],
            "more": 0,
        }
        return self._preview_or_save(table, mapping)

    def _file(self) -> tuple[bytes, str]:
        if "source" in self.request.POST:
            source = self.request.POST["source"]
            try:
                text, encoding = signing.loads(source, salt=self.salt, max_age=MAX_AGE)
            except signing.BadSignature as error:
                text = gettext("The file is not there any more. Choose it again.")
                raise ValidationError(text) from error
            return text.encode("latin-1"), encoding
        file = self.request.FILES.get("file")
        if file is None:
            raise ValidationError(gettext("Choose a file."))
        limit = self.admin.import_max_size
        if file.size > limit:
            message = gettext("The file has more than %(count)d bytes. Divide it.")
            raise ValidationError(message % {"count": limit})
        encoding = self.request.POST.get("encoding", "")
        return file.read(), encoding if encoding in ENCODINGS else "utf-8"

    def _preview_or_save(self, table: Table, mapping: list[str]) -> Any:
        one = Import(self.admin, self.request, table, mapping)
        if "save" in self.request.POST:
            # It ends without a change if the visitor has seen something else.
            steps = one.save(self.request.POST.get("digest", ""))
            return streamed(self.admin, self.request, self.context["title"], steps)
        steps = self._preview(one)
        if len(table.rows) > LONG:
            return streamed(self.admin, self.request, self.context["title"], steps)
        for _ in steps:
            pass
        return self.response()

    def _preview(self, one: Import) -> Iterator[Any]:
        tally = Tally(MAX_SHOWN)
        yield from one.check(tally)
        counts = tally.counts
        changing = counts["added"] + counts["changed"]
        self.context |= {
            "counts": counts,
            "digest": tally.digest,
            "may_save": bool(changing) and not counts["errors"],
            "failed": tally.failed,
            "changing": tally.changing,
            "more": changing - len(tally.changing),
        }
        if len(one.table.rows) > LONG:
            template = loader.get_template("admin/includes/import_preview.html")
            yield Result(template.render(self.context, self.request))
