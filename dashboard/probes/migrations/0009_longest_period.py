import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("probes", "0008_believable_credits"),
    ]

    operations = [
        migrations.AlterField(
            model_name="probe",
            name="period_s",
            field=models.PositiveIntegerField(
                validators=[
                    django.core.validators.MaxValueValidator(
                        604800, "The longest period is 7 days."
                    )
                ],
                verbose_name="period (s)",
            ),
        ),
    ]
