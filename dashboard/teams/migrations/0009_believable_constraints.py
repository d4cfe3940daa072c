from django.db import migrations, models
from django.db.models import Q

MOST = 1e15


class Migration(migrations.Migration):
    # In a transaction of its own: PostgreSQL alters no table whose rows it just changed.
    dependencies = [
        ("teams", "0008_believable_numbers"),
    ]

    operations = [
        migrations.AddConstraint(
            model_name="creditreading",
            constraint=models.CheckConstraint(
                condition=Q(
                    Q(("allocated__range", (-MOST, MOST))),
                    Q(("used__range", (-MOST, MOST))),
                    Q(("remaining__range", (-MOST, MOST))),
                ),
                name="reading_is_believable",
            ),
        ),
        migrations.AddConstraint(
            model_name="team",
            constraint=models.CheckConstraint(
                condition=Q(
                    Q(("tokens_per_credit__range", (-MOST, MOST))),
                    Q(("credits_per_dollar__range", (-MOST, MOST))),
                    Q(("refill_amount__range", (-MOST, MOST))),
                ),
                name="team_terms_are_believable",
            ),
        ),
    ]
