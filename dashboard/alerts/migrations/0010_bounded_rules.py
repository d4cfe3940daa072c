import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0009_plain_texts"),
    ]

    operations = [
        migrations.AlterField(
            model_name="rule",
            name="clear_after",
            field=models.PositiveIntegerField(
                default=3,
                help_text="In a row.",
                validators=[django.core.validators.MaxValueValidator(100000)],
                verbose_name="good samples to clear",
            ),
        ),
        migrations.AlterField(
            model_name="rule",
            name="for_s",
            field=models.PositiveIntegerField(
                default=0,
                help_text="How long it must hold before it is an alarm.",
                validators=[
                    django.core.validators.MaxValueValidator(
                        7776000, "It may be 90 days at most."
                    )
                ],
                verbose_name="for (s)",
            ),
        ),
        migrations.AlterField(
            model_name="rule",
            name="keep_s",
            field=models.PositiveIntegerField(
                default=0,
                help_text="How long it must be good again before the alarm ends.",
                validators=[
                    django.core.validators.MaxValueValidator(
                        7776000, "It may be 90 days at most."
                    )
                ],
                verbose_name="keep (s)",
            ),
        ),
        migrations.AlterField(
            model_name="rule",
            name="long_window_s",
            field=models.PositiveIntegerField(
                default=0,
                help_text="The limit must be reached over this time, too; 0 for no matter.",
                validators=[
                    django.core.validators.MaxValueValidator(
                        7776000, "It may be 90 days at most."
                    )
                ],
                verbose_name="long window (s)",
            ),
        ),
        migrations.AlterField(
            model_name="rule",
            name="min_bad",
            field=models.PositiveIntegerField(
                default=3,
                validators=[django.core.validators.MaxValueValidator(100000)],
                verbose_name="least failures",
            ),
        ),
        migrations.AlterField(
            model_name="rule",
            name="min_samples",
            field=models.PositiveIntegerField(
                default=5,
                validators=[django.core.validators.MaxValueValidator(100000)],
                verbose_name="least samples",
            ),
        ),
        migrations.AlterField(
            model_name="rule",
            name="of_last",
            field=models.PositiveIntegerField(
                blank=True,
                help_text="Least failures of so many runs are enough, whatever the rate.",
                null=True,
                validators=[django.core.validators.MaxValueValidator(100000)],
                verbose_name="of the last",
            ),
        ),
        migrations.AlterField(
            model_name="rule",
            name="window_s",
            field=models.PositiveIntegerField(
                default=300,
                validators=[
                    django.core.validators.MaxValueValidator(
                        7776000, "It may be 90 days at most."
                    )
                ],
                verbose_name="window (s)",
            ),
        ),
    ]
