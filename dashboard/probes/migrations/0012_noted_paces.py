"""Note the period of each probe: results from now on stand for it.

Their hour and day may have begun with another one, which an older version noted nowhere.
"""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.utils import timezone


def note(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    probes = apps.get_model("probes", "Probe").objects
    now = timezone.now().isoformat()
    changed = []
    for probe in probes.filter(paces=[]):
        probe.paces = [[probe.period_s, now]]
        changed.append(probe)
    probes.bulk_update(changed, ["paces"], batch_size=500)


class Migration(migrations.Migration):
    dependencies = [
        ("probes", "0011_paces"),
    ]

    operations = [
        migrations.RunPython(note, migrations.RunPython.noop, elidable=True),
    ]
