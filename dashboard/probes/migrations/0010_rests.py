"""Keep when a probe was off; of the time before, what its row tells."""

from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def note(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    probes = apps.get_model("probes", "Probe").objects
    changed = []
    for probe in probes.filter(enabled=False):
        since = probe.last_at and probe.last_at.isoformat()
        probe.rests = [[since, None]]
        changed.append(probe)
    # Those that cost credits are off until somebody accepts that.
    for probe in probes.filter(enabled=True, cost_accepted_at__isnull=False):
        probe.rests = [[None, probe.cost_accepted_at.isoformat()]]
        changed.append(probe)
    probes.bulk_update(changed, ["rests"], batch_size=500)


class Migration(migrations.Migration):
    dependencies = [
        ("probes", "0009_longest_period"),
    ]

    operations = [
        migrations.AddField(
            model_name="probe",
            name="rests",
            field=models.JSONField(default=list, editable=False),
        ),
        migrations.RunPython(note, migrations.RunPython.noop, elidable=True),
    ]
