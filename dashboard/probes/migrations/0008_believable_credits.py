"""Count for a run what it would be counted for today, where it came to no number."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

MOST = 1e9


def clear(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    outcomes = apps.get_model("probes", "Outcome").objects
    # To PostgreSQL, NaN is more than any number.
    outcomes.filter(credits__gt=MOST).update(credits=MOST)
    outcomes.filter(credits__lt=0).update(credits=None)


class Migration(migrations.Migration):
    dependencies = [
        ("probes", "0007_failed_outcomes_by_start"),
    ]

    operations = [
        migrations.RunPython(clear, migrations.RunPython.noop, elidable=True),
    ]
