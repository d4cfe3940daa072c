from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0011_a_report_for_each_user"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="incident",
            index=models.Index(
                fields=["resolved_at", "gateway"], name="incident_by_end"
            ),
        ),
        migrations.AddIndex(
            model_name="incident",
            index=models.Index(
                fields=["identity", "-opened_at"], name="incident_by_identity"
            ),
        ),
    ]
