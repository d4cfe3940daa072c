from django.db import migrations, models
from django.db.models.functions import Lower


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0012_incidents_by_end_and_identity"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="recipient",
            index=models.Index(Lower("email"), name="alerts_recipient_mailbox"),
        ),
    ]
