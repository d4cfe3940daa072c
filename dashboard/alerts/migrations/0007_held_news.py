"""Tell what was held back even when it is over by then."""

from django.db import migrations, models

_CHANGES = [
    ("opened", "Opened"),
    ("escalated", "Escalated"),
    ("repeated", "Repeated"),
    ("resolved", "Resolved"),
    ("missed", "opened and ended"),
    ("daily", "daily digest"),
    ("weekly", "weekly report"),
    ("self_test", "self-test"),
]


class Migration(migrations.Migration):
    dependencies = [("alerts", "0006_broken_streams")]

    operations = [
        migrations.AddField("notification", "held_at", models.DateTimeField(null=True)),
        migrations.AlterField(
            "notification",
            "change",
            models.CharField(max_length=10, choices=_CHANGES),
        ),
    ]
