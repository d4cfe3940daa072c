from django.db import models

from dashboard.probes.models import Probe


class Level(models.IntegerChoices):
    """The length of a bucket, in seconds."""

    MINUTE = 60
    HOUR = 3600
    DAY = 86400


class Rollup(models.Model):
    """The outcomes of one probe in one bucket of time: exact counts and two histograms.

    `samples` counts the outcomes that are part of the error rate, `bad` the failed ones
    among them; held runs and our own faults are only in `excluded`. The histograms
    (dashboard.lib.histogram) keep wire latencies of successes and failures apart.
    """

    probe = models.ForeignKey(
        Probe, models.CASCADE, related_name="rollups", db_index=False
    )
    level = models.PositiveIntegerField(choices=Level.choices)
    start = models.DateTimeField()
    # How many outcomes the probe's period promised for the whole bucket: 0.2 for a
    # minute of a probe that runs every five.
    expected = models.FloatField()
    samples = models.PositiveIntegerField(default=0)
    bad = models.PositiveIntegerField(default=0)
    excluded = models.PositiveIntegerField(default=0)
    first_try_ok = models.PositiveIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)
    # {"error_class": count} of everything that failed, excluded ones too.
    classes = models.JSONField(default=dict)
    ok_sum_us = models.BigIntegerField(default=0)
    ok_min_us = models.BigIntegerField(null=True)
    ok_max_us = models.BigIntegerField(null=True)
    ok_histogram = models.BinaryField(default=bytes)
    # The successes whose phases are known, and what those took together; the body is
    # what they leave. None are known of what was folded before phases were kept.
    phased = models.PositiveIntegerField(default=0)
    phased_sum_us = models.BigIntegerField(default=0)
    connect_sum_us = models.BigIntegerField(default=0)
    tls_sum_us = models.BigIntegerField(default=0)
    first_byte_sum_us = models.BigIntegerField(default=0)
    bad_sum_us = models.BigIntegerField(default=0)
    bad_histogram = models.BinaryField(default=bytes)
    # The seconds that its outcomes stand for. Null where none was folded since these are
    # kept: each stands for the period that was `expected`.
    up_s = models.PositiveBigIntegerField(null=True)
    down_s = models.PositiveBigIntegerField(null=True)

    class Meta:
        constraints = [
            # One row a bucket; also seeks one probe's series.
            models.UniqueConstraint(
                fields=["probe", "level", "start"], name="one_rollup_per_bucket"
            )
        ]
        indexes = [
            # All probes in a window, and the oldest buckets of a level to prune.
            models.Index(fields=["level", "start"], name="rollup_by_level_and_start"),
        ]

    def __str__(self) -> str:
        return f"{self.probe} {self.get_level_display()} {self.start:%Y-%m-%d %H:%M}"
