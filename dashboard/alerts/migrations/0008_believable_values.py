"""Make unknown what rules reckoned from numbers that no gateway may tell any more."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# What two believable numbers of 1e15 and 1e-9 come to is less.
MOST = 1e27


def clear(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    incidents = apps.get_model("alerts", "Incident").objects
    # To PostgreSQL, NaN is more than any number.
    incidents.filter(value__gt=MOST).update(value=None)
    incidents.filter(value__lt=-MOST).update(value=None)


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0007_held_news"),
    ]

    operations = [
        migrations.RunPython(clear, migrations.RunPython.noop, elidable=True),
    ]
