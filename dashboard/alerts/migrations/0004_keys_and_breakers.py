"""Give a refused key an identity of its own, and breakers their calm before the end."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import CharField, Value
from django.db.models.functions import Cast, Concat


def forward(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Nobody is mailed: an open incident of a refused key goes on as what it is."""
    incidents = apps.get_model("alerts", "Incident").objects
    refused = incidents.filter(kind="team_state", level="key_refused")
    refused.update(
        kind="auth_failed",
        identity=Concat(Value("auth_failed:team:"), Cast("team_id", CharField())),
    )
    rules = apps.get_model("alerts", "Rule").objects
    rules.filter(kind="breaker_open").update(keep_s=300)


def backward(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Leave the rows: the older code ends the incidents that it does not know."""


class Migration(migrations.Migration):
    dependencies = [("alerts", "0003_more_rules")]
    operations = [migrations.RunPython(forward, backward)]
