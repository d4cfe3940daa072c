"""What an outside watcher is told."""

from unittest.mock import patch

import pytest
import time_machine
from django.db import OperationalError, connection
from django.test import Client

from tests.factories import NOW, beat

pytestmark = pytest.mark.django_db


@time_machine.travel(NOW, tick=False)
def test_health_tells_ages_to_anybody() -> None:
    beat(7)

    response = Client().get("/healthz")

    assert response.status_code == 200
    assert response.json() == {
        "database": "ok",
        "last_tick_age_s": 7.0,
        "outbox": {"depth": 0, "oldest_age_s": None},
    }
    assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/healthz", "/healthz/prober"])
def test_a_database_that_is_away_is_unhealthy(path: str) -> None:
    with patch.object(connection, "cursor", side_effect=OperationalError("secret")):
        response = Client().get(path)

    assert response.status_code == 503
    assert response.json() == {"database": "away"}


@time_machine.travel(NOW, tick=False)
def test_a_prober_that_works_is_healthy() -> None:
    beat(119)

    assert Client().get("/healthz/prober").status_code == 200


@time_machine.travel(NOW, tick=False)
def test_a_stale_prober_is_unhealthy() -> None:
    beat(121)

    response = Client().get("/healthz/prober")

    assert response.status_code == 503
    assert response.json()["prober"] == "stale"
    assert Client().get("/healthz").status_code == 200


def test_a_prober_that_never_worked_is_unhealthy() -> None:
    assert Client().get("/healthz/prober").status_code == 503
