import wagtail.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = [
        ("wagtailcore", "0001_squashed_0016_change_page_url_path_to_text_field")
    ]
    operations = [
        migrations.CreateModel(
            "TextPage",
            [
                (
                    "page_ptr",
                    models.OneToOneField(
                        "wagtailcore.page",
                        models.CASCADE,
                        auto_created=True,
                        parent_link=True,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("body", wagtail.fields.RichTextField(blank=True)),
            ],
            bases=("wagtailcore.page",),
        ),
        migrations.CreateModel(
            "Note",
            [
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                ("text", models.CharField(max_length=100)),
            ],
        ),
    ]
