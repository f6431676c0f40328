from django.db import migrations
from vinyl.orm.live import WatchModel


class Migration(migrations.Migration):
    dependencies = [("records", "0002_wishes_and_covers")]

    # On PostgreSQL, a trigger reports each change of a review to the live page.
    operations = [WatchModel("review")]
