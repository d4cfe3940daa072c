"""Wrong environment variables: named, explained, and never repeated with a secret."""

import pytest

from dashboard import env
from dashboard.env import EnvError

SECRET = "secret-word"


@pytest.mark.parametrize(
    "address",
    [
        f"mysql://me:{SECRET}@host/db",
        f"postgres://me:{SECRET}@host:port/db",
        f"postgres://me:12/{SECRET}@host/db",
        f"postgres://me:{SECRET}@host",
        "sqlite://:memory:",
        "/var/lib/gatewatch.sqlite3",
        "postgres://me@[::1/db",
    ],
)
def test_a_wrong_database_address_is_refused(address: str) -> None:
    with pytest.raises(
        EnvError, match=r"^DATABASE_URL is not .* write postgres://"
    ) as e:
        env.database(address)

    assert SECRET not in str(e.value)
    assert e.value.__cause__ is None


@pytest.mark.parametrize(
    "address",
    [
        f"smtp+tls://me:{SECRET}@host:587",
        f"smtps://me:{SECRET}@host",
        f"smtp://me:{SECRET}@host:port",
        "smtp://",
        "mail.example.com:25",
    ],
)
def test_a_wrong_mail_server_is_refused(address: str) -> None:
    with pytest.raises(
        EnvError, match=r"^EMAIL_URL is not .* write submission://"
    ) as e:
        env.mail_server(address)

    assert SECRET not in str(e.value)


def test_mail_is_sent_with_starttls_where_it_is_asked_for() -> None:
    found = env.mail_server("submission://me:p%40ss@mail.example.com:587")

    assert found["EMAIL_BACKEND"].endswith("smtp.EmailBackend")
    assert found["EMAIL_USE_TLS"] is True
    assert found["EMAIL_HOST_PASSWORD"] == "p@ss"


@pytest.mark.parametrize(
    "address",
    [
        "watch.example.com",
        f"https://me:{SECRET}@watch.example.com",
        "https://watch.example.com/path",
        "ftp://watch.example.com",
        "https://watch.example.com:port",
        "https://",
    ],
)
def test_a_wrong_public_url_is_refused(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUBLIC_URL", address)

    with pytest.raises(EnvError, match=r"^PUBLIC_URL ") as e:
        env.web_address("PUBLIC_URL")

    assert SECRET not in str(e.value)


def test_a_public_url_loses_its_last_slash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUBLIC_URL", "https://watch.example.com/")

    assert env.web_address("PUBLIC_URL") == "https://watch.example.com"


@pytest.mark.parametrize("value", ["-1", "0", "many", "²", "1001", "9" * 9999])
def test_a_number_out_of_range_is_refused(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWATCH_WORKERS", value)

    with pytest.raises(EnvError, match=r"whole number from 1 to 1000") as e:
        env.number("GATEWATCH_WORKERS", 5)

    assert len(str(e.value)) < 120


def test_a_list_loses_the_blanks_around_its_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", "a.example, .b.example,[::1], ")

    assert env.hosts("ALLOWED_HOSTS") == ["a.example", ".b.example", "[::1]"]


@pytest.mark.parametrize("host", ["https://a.example", "a.example:8000", "a/b", "a b"])
def test_an_address_is_no_host_name(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOWED_HOSTS", host)

    with pytest.raises(EnvError, match="is no host name; write watch"):
        env.hosts("ALLOWED_HOSTS")


@pytest.mark.parametrize(
    "value",
    [
        "watch@example.com",
        "Gatewatch <watch@example.com>",
        '"Watch, Inc" <watch@example.com>',
    ],
)
def test_a_sender_may_have_a_name(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_FROM", value)

    assert env.sender("MAIL_FROM") == value


@pytest.mark.parametrize(
    "value", ["nonsense", "Gatewatch <nonsense>", "a@example.com, b@example.com"]
)
def test_a_sender_is_one_mail_address(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_FROM", value)

    with pytest.raises(EnvError, match="is no mail address; write Gatewatch <"):
        env.sender("MAIL_FROM")


def test_a_reference_says_of_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_REFERENCES", "env:ACME_*, file:/run/secrets/")
    assert env.references("KEY_REFERENCES") == ["env:ACME_*", "file:/run/secrets/"]

    monkeypatch.setenv("KEY_REFERENCES", "ACME_")
    with pytest.raises(EnvError, match="'ACME_' is no reference; write env:"):
        env.references("KEY_REFERENCES")


def test_a_level_that_logging_does_not_know_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOG_LEVEL", "loud")

    with pytest.raises(EnvError, match=r"LOG_LEVEL='LOUD' is not a level"):
        env.log_level("LOG_LEVEL")
