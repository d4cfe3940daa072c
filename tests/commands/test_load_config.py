"""The configuration file: idempotent, complete, and refused as a whole."""

import io
import re
import tomllib
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dashboard.alerts.models import Recipient, Rule
from dashboard.alerts.rulebook import DEFAULTS, install_default_rules
from dashboard.management.edge import UsageError
from dashboard.probes.models import Breaker, Probe
from dashboard.probes.queries import breaker_keys
from dashboard.probes.services import watch_team
from dashboard.teams.keys import hint, set_key
from dashboard.teams.models import AuditEntry, Gateway, Team
from tests.factories import NOW, make_gateway, make_team

pytestmark = pytest.mark.django_db

GATEWAY = '[[gateways]]\nname = "Production"\nbase_url = "https://gateway.example"\n'
TEAM = '[[gateways.teams]]\nteam_id = "acme"\n'
Load = Callable[..., str]
KEY = "sk-typed-in-1234567890"


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def _load(text: str, *options: str) -> str:
        path = tmp_path / "gatewatch.toml"
        path.write_text(text, encoding="utf-8")
        out = io.StringIO()
        call_command("load_config", str(path), *options, stdout=out)
        return out.getvalue()

    return _load


def exported() -> str:
    out = io.StringIO()
    call_command("export_config", stdout=out)
    return out.getvalue()


def documented_example() -> str:
    text = (settings.BASE_DIR / "docs/configuration.md").read_text(encoding="utf-8")
    [example] = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    return str(example)


def test_the_documented_example_loads(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACME_KEY", KEY)

    told = load(documented_example())

    assert told.count("manage.py up reads env: keys itself: set them there, too") == 1
    team = Team.objects.get(team_id="acme-corp")
    assert hint(team) == "env:ACME_KEY"
    assert team.probes.get(kind="deep_job").daily_credit_cap == 96
    assert Rule.objects.get(name="ACME's credits").team == team
    assert Recipient.objects.count() == 2


def test_loading_again_changes_nothing(load: Load) -> None:
    first = load(documented_example())

    assert "+ gateway Production\n" in first
    assert load(documented_example()).startswith("No changes.")


def test_a_file_that_changes_nothing_stops_no_probing_and_asks_little(
    load: Load,
) -> None:
    """The recorder may hold what a lock of all probes waits for, and waits in turn."""
    probes = "".join(
        f'[[gateways.teams.probes]]\nkind = "{kind}"\nperiod_s = 90\n'
        for kind in ("team_status", "balance")
    )
    asked = []
    for number in (1, 3):
        teams = [TEAM.replace("acme", f"t{each}") + probes for each in range(number)]
        text = GATEWAY + "".join(teams)
        load(text)
        with CaptureQueriesContext(connection) as queries:
            assert "No changes." in load(text)
        assert not [q for q in queries if "FOR NO KEY UPDATE" in q["sql"]]
        asked.append(len(queries))

    assert asked[1] - asked[0] == 2 * 3


def test_a_row_is_not_written_as_it_was_read(
    load: Load,
) -> None:
    """C-06: a key that is stored meanwhile stays."""
    load(GATEWAY + TEAM)

    with CaptureQueriesContext(connection) as asked:
        load(GATEWAY + TEAM + 'name = "Acme"\n')

    [written] = [q["sql"] for q in asked if q["sql"].startswith('UPDATE "teams_team"')]
    assert "name" in written
    assert "key_sealed" not in written


def test_what_was_exported_loads_without_a_change(load: Load) -> None:
    load(documented_example())
    set_key(Team.objects.get(team_id="globex"), KEY, NOW)

    text = exported()

    assert KEY not in text
    assert 'key = "env:GATEWATCH_KEY_PRODUCTION_GLOBEX_' in text
    assert "No changes." in load(text, "--prune")
    assert exported() == text


def test_a_typed_key_keeps_its_name_in_files_of_other_days() -> None:
    """C-06: another team would get the key that was set under it for the first file."""
    ours, theirs = make_gateway(name="Prod EU"), make_gateway(name="Prod")
    set_key(make_team(ours, team_id="x"), KEY, NOW)
    [name] = re.findall(r'key = "env:(\w+)"', exported())
    for gateway, team_id in ((theirs, "EU x"), (ours, "X")):
        set_key(make_team(gateway, team_id=team_id), KEY, NOW)

    told = tomllib.loads(exported())["gateways"]

    under = [
        (gateway["name"], team["team_id"])
        for gateway in told
        for team in gateway["teams"]
        if team["key"] == f"env:{name}"
    ]
    assert under == [("Prod EU", "x")]


def test_each_typed_key_is_exported_under_a_name_of_its_own(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C-06: else one gateway's key would be sent to another, whose team is called so."""
    ours, theirs = make_gateway(name="Prod EU"), make_gateway(name="Prod")
    x = make_team(ours, team_id="x")
    set_key(x, KEY, NOW)
    [taken] = re.findall(r'key = "env:(\w+)"', exported())
    monkeypatch.setenv(taken, KEY)
    for number, team in enumerate(
        [
            x,
            make_team(ours, team_id="x-2"),
            make_team(theirs, team_id="EU x"),
            make_team(theirs, team_id="日本"),
            make_team(theirs, team_id="中国"),
        ]
    ):
        set_key(team, f"sk-{number}-typed-in", NOW)
    referring = make_team(theirs, team_id="EU x 2")
    set_key(referring, f"env:{taken}", NOW)

    text = exported()

    names = re.findall(r'key = "env:(\w+)"', text)
    assert len(set(names)) == len(names) == Team.objects.count()
    assert "No changes." in load(text)


def test_what_was_exported_fills_a_new_database(load: Load) -> None:
    load(documented_example())
    text = exported()
    Gateway.objects.all().delete()
    Rule.objects.all().delete()
    Recipient.objects.all().delete()

    load(text)

    assert exported() == text


def test_a_change_is_shown_with_both_values(load: Load) -> None:
    load(GATEWAY)

    told = load(GATEWAY + '[[gateways.probes]]\nkind = "health"\nperiod_s = 15\n')

    assert "~ probe health of gateway Production: period_s 60 -> 15\n" in told
    health = Probe.objects.get(kind="health")
    assert (health.period_s, [before_s for before_s, _ in health.paces]) == (15, [60])


def test_a_new_address_forgets_the_keys_that_were_given_for_the_old(
    load: Load,
) -> None:
    load(GATEWAY + TEAM)
    set_key(Team.objects.get(), KEY, NOW)

    said = load(GATEWAY.replace("gateway.example", "elsewhere.example"))

    assert hint(Team.objects.get()) == ""
    assert "gateway Production: keys of its old address are forgotten" in said


def test_a_dry_run_writes_nothing(load: Load) -> None:
    told = load(GATEWAY, "--dry-run")

    assert "+ gateway Production\n" in told
    assert told.endswith("1 change would be made; nothing was written.\n")
    assert not Gateway.objects.exists()


def test_a_check_ends_with_1_where_something_would_change(
    load: Load,
) -> None:
    with pytest.raises(SystemExit) as ended:
        load(GATEWAY, "--check")
    assert ended.value.code == 1
    assert not Gateway.objects.exists()

    load(GATEWAY)
    assert load(GATEWAY, "--check") == "No changes.\n"


def test_what_a_partial_file_keeps_is_one_line(load: Load) -> None:
    gateway = make_gateway(name="Old")
    for number in range(1, 12):
        make_team(gateway, team_id=f"team-{number:02}")

    kept = load(GATEWAY)

    assert "11 teams are not in the file; kept (Old/team-01, Old/team-02, " in kept
    assert kept.count("not in the file") == 2


@pytest.mark.parametrize("host", ["10.0.0.1", "localhost:9", "169.254.169.254"])
def test_a_gateway_that_can_never_be_asked_is_refused(host: str, load: Load) -> None:
    """C-06: as in the form."""
    text = f'[[gateways]]\nname = "Inside"\nbase_url = "http://{host}"\n'

    with pytest.raises(UsageError, match=r"line 3: gateways\[0\]\.base_url: .*refuse"):
        load(text)
    assert not Gateway.objects.exists()

    allowed = text + "allow_private = true\n"
    if host.startswith("169"):
        with pytest.raises(UsageError):
            load(allowed)
    else:
        assert "+ gateway Inside" in load(allowed)


def test_only_prune_deletes(load: Load) -> None:
    make_team(make_gateway(name="Old"), team_id="former")

    kept = load(GATEWAY)
    assert "gateway Old is not in the file; kept" in kept
    assert Gateway.objects.filter(name="Old").exists()

    told = load(GATEWAY, "--prune")
    assert "- gateway Old\n" in told
    assert "- team Old/former\n" in told
    assert not Gateway.objects.filter(name="Old").exists()


def test_a_team_that_was_pruned_leaves_no_breaker_to_the_next_of_its_id(
    load: Load,
) -> None:
    load(GATEWAY + TEAM)
    probe = Probe.objects.filter(team__team_id="acme")[0]
    key = next(iter(breaker_keys(probe).values()))
    Breaker.objects.create(gateway=probe.gateway, key=key, forced="forced_open")

    load(GATEWAY, "--prune")
    load(GATEWAY + TEAM)

    assert not Breaker.objects.exists()


def test_prune_keeps_the_default_rules(load: Load) -> None:
    install_default_rules()
    Rule.objects.create(name="Mine", kind="credits")

    told = load(GATEWAY, "--prune")

    assert "- rule Mine\n" in told
    assert Rule.objects.count() == len(DEFAULTS)


def test_what_will_not_work_is_told_beforehand(load: Load) -> None:
    told = load(GATEWAY + TEAM + 'key = "env:NOT_SET_ANYWHERE"\n')

    assert "env:NOT_SET_ANYWHERE is not set here" in told


def test_an_unresolved_reference_keeps_the_stored_key(load: Load) -> None:
    team = make_team(make_gateway(name="Production"), team_id="acme")
    set_key(team, KEY, NOW)

    told = load(GATEWAY + TEAM + 'key = "env:NOT_SET_ANYWHERE"\n')

    assert "the stored key stays" in told
    team.refresh_from_db()
    assert hint(team) == "••••7890"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("gateways = [", "gatewatch.toml is not TOML: "),
        (
            "[[gateways]]\nname = 'x'\n",
            "line 1: gateways[0]: the key base_url is missing",
        ),
        (
            GATEWAY + TEAM + TEAM.replace("acme", "b") + 'colour = "red"\n',
            "line 8: gateways[0].teams[1].colour: an unknown key; known here: team_id, ",
        ),
        (
            "[[rule]]\nname = 1\n",
            "line 1: rule: an unknown key; known here: gateways, ",
        ),
        (
            GATEWAY + '[[gateways.probes]]\nkind = "health"\nperiod_s = "60"\n',
            "line 6: gateways[0].probes[0].period_s: expected int, got str.",
        ),
        (
            GATEWAY + '[[gateways.probes]]\nkind = "health"\nperiod_s = 1\n',
            "line 6: gateways[0].probes[0].period_s: expected int >= 5.",
        ),
        (
            GATEWAY + '[[gateways.probes]]\nkind = "balance"\n',
            "probes[0].kind: 'balance' is no probe of a gateway; known: health.",
        ),
        (
            GATEWAY.replace("https://", "https://me:secret-word@"),
            "line 3: gateways[0].base_url: the base URL ",
        ),
        (GATEWAY + GATEWAY, "gateways[1]: the same as gateways[0]; name it once"),
        (GATEWAY + TEAM + f'key = "{KEY}"\n', "key: write env:NAME or file:/path"),
        (
            GATEWAY + TEAM + 'key = "env:BROKEN_KEY"\n',
            "env:BROKEN_KEY: the virtual key",
        ),
        (
            GATEWAY + TEAM + '[[gateways.teams.probes]]\nkind = "deep_job"\n'
            "enabled = true\n",
            "this probe costs credits; name its model and daily_credit_cap",
        ),
        (
            '[[rules]]\nname = "x"\nkind = "magic"\n',
            "line 3: rules[0].kind: Value 'magic' is not a valid choice",
        ),
        (
            '[[rules]]\nname = "x"\nkind = "credits"\ngateway = "Nowhere"\n',
            "line 4: rules[0].gateway: no gateway is called 'Nowhere'",
        ),
        (
            GATEWAY.replace('name = "', 'name = "\\u0000'),
            "line 2: gateways[0].name: a NUL is in this text.",
        ),
        (
            '[[recipients]]\nemail = "nobody"\n',
            "line 2: recipients[0].email: Enter a valid email address",
        ),
    ],
)
def test_a_mistake_is_refused_whole(
    text: str, sentence: str, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROKEN_KEY", f"{KEY}\nX-Injected: 1")

    with pytest.raises(UsageError) as refused:
        load(text)

    assert sentence in str(refused.value)
    assert "secret-word" not in str(refused.value)
    assert KEY not in str(refused.value)
    assert not Gateway.objects.exists()
    assert not Rule.objects.exists()


def test_each_change_leaves_a_line_in_the_audit_log_without_its_value(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C-18."""
    monkeypatch.setenv("ACME_KEY", KEY)
    load(GATEWAY + TEAM + 'key = "env:ACME_KEY"\ndaily_credit_cap = 20\n')
    load(GATEWAY + TEAM + "daily_credit_cap = 30\n")

    told = [f"{e.subject}: {e.detail}" for e in AuditEntry.objects.order_by("pk")]
    assert "team Production/acme: load_config: added" in told
    assert told[-1] == "team Production/acme: load_config: changed daily_credit_cap"
    assert "ACME_KEY" not in str(told)
    assert "daily_credit_cap = 30" in exported()


def test_a_name_reads_like_no_other_line_of_the_audit_log(load: Load) -> None:
    """C-18: a gateway may list a team by an id that ends what the line is about."""
    gateway = GATEWAY.replace("Production", "Prod: key of all")
    team = TEAM.replace("acme", "acme: key env:X -> env:Y")

    load(gateway + team + 'name = "a"\n')
    load(gateway + team + 'name = "b"\n')

    told = [(e.subject, e.detail) for e in AuditEntry.objects.order_by("pk")]
    assert told == [
        ("gateway Prod: key of all", "load_config: added"),
        (
            "team Prod: key of all/acme: key env:X -> env:Y",
            "load_config: added",
        ),
        (
            "team Prod: key of all/acme: key env:X -> env:Y",
            "load_config: changed name",
        ),
    ]


@pytest.mark.parametrize(
    "limits",
    [
        {"clear_after": 0, "min_samples": 0, "min_bad": 0},
        {"clear_after": 100_000, "min_samples": 100_000, "min_bad": 100_000},
        {"window_s": 90 * 24 * 3600, "for_s": 90 * 24 * 3600, "keep_s": 0},
        {"window_s": 1, "floor": -5.0},
    ],
)
def test_whatever_a_page_takes_is_exported_and_loads(
    load: Load, limits: dict[str, float]
) -> None:
    """A manager's limits must not keep the file of all teams from being loaded."""
    team = make_team(make_gateway(name="Production"), daily_credit_cap=2**31 - 1)
    rule = Rule(name="x", kind="error_rate", gateway=team.gateway, critical_at=0.5)
    rule.team = team
    for name, value in limits.items():
        setattr(rule, name, value)
    rule.full_clean()
    rule.save()
    watch_team(team, NOW)
    team.probes.filter(kind="deep_job").update(
        enabled=True, model="m", daily_credit_cap=0
    )
    load(exported())

    assert load(exported()).startswith("No changes.")
    team.probes.update(daily_credit_cap=None)
    assert load(exported()).startswith("No changes.")


def test_what_follows_from_a_switch_is_stored_with_it(load: Load) -> None:
    load(GATEWAY + TEAM)
    deep = Probe.objects.get(kind="deep_job")
    Probe.objects.filter(pk=deep.pk).update(next_run=NOW + timedelta(days=9000))
    probe = '[[gateways.teams.probes]]\nkind = "deep_job"\n'
    on = 'model = "chat-fast"\ndaily_credit_cap = 96\nenabled = true\n'

    load(GATEWAY + TEAM + probe + on)
    deep.refresh_from_db()
    assert deep.cost_accepted_at == deep.next_run
    assert deep.rests == [[None, deep.next_run.isoformat()]]

    load(GATEWAY + TEAM + probe + "enabled = false\n")
    deep.refresh_from_db()
    assert [until for _, until in deep.rests][1:] == [None]
