from django.db import models
from wagtail.admin.panels import FieldPanel
from wagtail.fields import RichTextField
from wagtail.models import Page
from wagtail.snippets.models import register_snippet


class TextPage(Page):
    body = RichTextField(blank=True)
    content_panels = [*Page.content_panels, FieldPanel("body")]

    class Meta:
        app_label = "site"


@register_snippet
class Note(models.Model):
    text = models.CharField(max_length=100)
    panels = [FieldPanel("text")]

    class Meta:
        app_label = "site"

    def __str__(self):
        return self.text
