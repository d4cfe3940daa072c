from django.db import migrations, models

from dashboard.alerts.models import plain_address
from dashboard.teams.models import printable


class Migration(migrations.Migration):
    dependencies = [("alerts", "0008_believable_values")]

    operations = [
        migrations.AlterField(
            model_name="recipient",
            name="email",
            field=models.EmailField(max_length=254, validators=[plain_address]),
        ),
        migrations.AlterField(
            model_name="rule",
            name="name",
            field=models.CharField(max_length=80, unique=True, validators=[printable]),
        ),
        migrations.AlterField(
            model_name="silence",
            name="reason",
            field=models.CharField(max_length=200, validators=[printable]),
        ),
    ]
