"""Make unknown what an older version took from a gateway and no page can reckon with."""

from datetime import UTC, datetime
from typing import Any

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Q

MOST = 1e15
LEAST = 1e-9
FIRST, LAST = datetime(2, 1, 1, tzinfo=UTC), datetime(9998, 12, 31, tzinfo=UTC)
TOLD = {
    "Team": ("tokens_per_credit", "credits_per_dollar", "refill_amount"),
    "CreditReading": ("allocated", "used", "remaining"),
}
RECKONED = ("first", "last", "least", "spent", "refilled", "allocated")


def clear(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    for model, names in TOLD.items():
        rows = apps.get_model("teams", model).objects
        for name in names:
            rows.filter(_beyond(name)).update(**{name: None})
            rows.filter(_dust(name)).update(**{name: 0.0})
    hours = apps.get_model("teams", "CreditHour").objects
    hours.filter(Q(*map(_beyond, RECKONED), _connector=Q.OR)).delete()
    for name in RECKONED:
        hours.filter(_dust(name)).update(**{name: 0.0})
    gateways = apps.get_model("teams", "Gateway").objects
    gateways.filter(certificate_expires_at__lt=FIRST).update(
        certificate_expires_at=None
    )
    gateways.filter(certificate_expires_at__gt=LAST).update(certificate_expires_at=LAST)
    for row in apps.get_model("teams", "Statement").objects.all():
        row.transactions = _cleared(row.transactions)
        row.usage = _cleared(row.usage)
        row.save(update_fields=["transactions", "usage"])


def _beyond(name: str) -> Q:
    # To PostgreSQL, NaN is more than any number.
    return Q((f"{name}__gt", MOST)) | Q((f"{name}__lt", -MOST))


def _dust(name: str) -> Q:
    return ~Q((name, 0)) & Q((f"{name}__gt", -LEAST), (f"{name}__lt", LEAST))


def _cleared(told: Any) -> Any:
    """Return a statement's half with None for each number, "" for each moment beyond."""
    match told:
        case list():
            return [_cleared(each) for each in told]
        case dict():
            return {
                name: _moment(each) if name == "at" else _cleared(each)
                for name, each in told.items()
            }
        case float() | int() if not abs(told) <= MOST:
            return None
        case _:
            return told


def _moment(at: str) -> str:
    try:
        return at if FIRST <= datetime.fromisoformat(at) <= LAST else ""
    except (TypeError, ValueError):
        return ""


class Migration(migrations.Migration):
    dependencies = [
        ("teams", "0007_audited_incidents"),
    ]

    operations = [
        migrations.RunPython(clear, migrations.RunPython.noop, elidable=True),
    ]
