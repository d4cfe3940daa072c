import django.db.models.functions.comparison
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0010_bounded_rules"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="notification",
            name="one_regular_mail_per_period",
        ),
        migrations.AddConstraint(
            model_name="notification",
            constraint=models.UniqueConstraint(
                models.F("change"),
                models.F("level"),
                models.F("channel"),
                models.F("recipient"),
                django.db.models.functions.comparison.Coalesce("user", 0),
                condition=models.Q(("incident", None)),
                name="one_regular_mail_per_period_and_user",
            ),
        ),
    ]
