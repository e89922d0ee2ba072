import click
import pytest

from atoll_host import commands, errors, host_process, settings_file
from atoll_host import settings as host_settings
from atoll_host.runs import queue_settings


@pytest.fixture
def load(tmp_path):
    def loaded(text: str) -> host_settings.Settings:
        file = tmp_path / "atoll.toml"
        file.write_text(text)
        return host_settings.Settings(**settings_file.load(file))

    return loaded


EMAIL_RULE = """
[[alerts.rules]]
name = "nightly"
on = "run_failure"
notify = [{ type = "email", host = "mail.example.org", from = "a@b.org", """


def problems_of(load, text: str) -> tuple[str, ...]:
    with pytest.raises(errors.SettingsFileError) as caught:
        load(text)
    assert "atoll.toml" in str(caught.value)
    return caught.value.problems


def test_an_empty_file_gives_the_defaults(load):
    assert load("") == host_settings.Settings()


def test_everything_can_be_said(load, tmp_path):
    settings = load(
        """
        [host]
        listen = "localhost:0"
        data_dir = "data"
        active_max = 3
        lease_ttl_s = 5
        [locations.sales]
        file = "skipped by the host"
        [queue.locations]
        sales = 2
        [queue.jobs]
        "sales/nightly" = 1
        [[queue.tags]]
        key = "database"
        value = "warehouse"
        limit = 4
        [[queue.tags]]
        key = "customer"
        limit = 1
        per_unique_value = true
        """
    )
    assert settings.listen == "localhost:0"
    assert settings.data_dir == tmp_path / "data"
    assert (settings.active_max, settings.lease_ttl_s) == (3, 5.0)
    assert settings.queue == queue_settings.QueueSettings(
        locations={"sales": 2},
        jobs={"sales/nightly": 1},
        tags=[
            queue_settings.TagLimit(key="database", value="warehouse", limit=4),
            queue_settings.TagLimit(key="customer", limit=1, per_unique_value=True),
        ],
    )


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ('[hots]\nlisten = "x"', ["unknown key 'hots'", "Did you mean 'host'?"]),
        ("host = 1", ["[host]", "must be a table, not a whole number (1)"]),
        ("[host]\nport = 1", ["[host]", "unknown key 'port' (its value: 1)", "Known are: listen"]),
        ("[host]\nactive_max = true", ["[host], active_max", "a whole number, not true or false"]),
        ("[host]\nactive_max = 0", ["[host], active_max", "is 0; it must be from 1 to 100000"]),
        ('[host]\nlisten = "0.0.0.0:1"', ["[host], listen", "listens on loopback only"]),
        ('[host]\ndatabase_url = "postgresql://me:word@db/x"', ["ATOLL_DATABASE_URL"]),
        ("[queue]\njob = 1", ["[queue]", "unknown key 'job'", "Did you mean 'jobs'?"]),
        ("[queue.jobs]\nnightly = 1", ["[queue], jobs", "'nightly' names no job", "location/job"]),
        ("[queue.locations]\na = -1", ["[queue], locations", "'a' is -1; it must be from 0"]),
        ('[queue.locations]\na = "x"', ["[queue.locations], a", "valid integer", "a text ('x')"]),
        ("[[queue.tags]]\nlimit = 1", ["[queue.tags.0], key", "is missing", "the key of a tag"]),
        (
            '[[queue.tags]]\nkey = "a"\nlimit = -2',
            ["[queue.tags.0], limit", "greater than or equal to 0", "a whole number (-2)"],
        ),
        (
            '[[queue.tags]]\nkey = "a"\nlimit = 2\nvalues = 1',
            ["[queue.tags.0]", "unknown key 'values'", "Did you mean 'value'?"],
        ),
        (
            '[[queue.tags]]\nkey = "a"\nvalue = "b"\nlimit = 2\nper_unique_value = true',
            ["'a' has the value 'b' and per_unique_value too"],
        ),
        (
            "[schedules]\ncatch_up_max = -1",
            ["[schedules], catch_up_max", "It means: how many missed ticks", "say. Correct it."],
        ),
        (
            '[policy]\nrun_requests = [{ from = "a", to = "b", jobs = ["c"], off = 1 }]',
            ["[policy.run_requests.0]", "unknown key 'off'", "Known are: from, to, jobs"],
        ),
        (
            EMAIL_RULE + 'to = ["b@c.org"], form = "d@e.org" }]',
            ["[alerts.rules.0.notify.0.email]", "unknown key 'form'", "Did you mean 'from'?"],
        ),
        (
            EMAIL_RULE + "to = [] }]",
            ["[alerts.rules.0.notify.0.email], to", "at least 1 item", "It means: who gets it."],
        ),
        ("[host", ["not valid TOML"]),
    ],
)
def test_a_mistake_is_told_with_its_place_and_value(load, text, complaints):
    (problem,) = problems_of(load, text)
    for complaint in complaints:
        assert complaint in problem


def test_the_url_of_the_database_is_not_repeated(load):
    (problem,) = problems_of(load, '[host]\ndatabase_url = "postgresql://me:word@db/x"')
    assert "word@" not in problem


@pytest.mark.parametrize(
    "target",
    ['type = "webhook", url = "htp://chat/word"', 'type = "webhook", uurl = "https://chat/word"'],
)
def test_the_address_of_a_webhook_is_not_repeated(load, target):
    rule = '[[alerts.rules]]\nname = "nightly"\non = "run_failure"\nnotify = [{ %s }]'
    assert "word" not in "".join(problems_of(load, rule % target))


def test_all_mistakes_are_told_at_once(load):
    problems = problems_of(
        load,
        '[host]\nactive_max = 0\nlease_ttl_s = "x"\n[queue]\njob = 1\n[queue.locations]\na = -1\n'
        "[alarms]\nx = 1\n",
    )
    assert len(problems) == 5


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(errors.SettingsFileError, match="no such file"):
        settings_file.load(tmp_path / "gone.toml")


def test_an_option_wins_over_the_file(tmp_path):
    file = tmp_path / "atoll.toml"
    file.write_text("[host]\nactive_max = 3\n")
    with pytest.raises(click.ClickException, match="--active-max is 0"):
        host_process.main({"active_max": 0}, file)


def test_a_bad_file_ends_the_command_as_a_wrong_call(tmp_path):
    file = tmp_path / "atoll.toml"
    file.write_text("[host]\nactive_max = 0\n")
    with pytest.raises(click.ClickException, match=r"\[host\], active_max: is 0") as caught:
        host_process.main({}, file)
    assert caught.value.exit_code == 2


def test_the_help_tells_the_defaults_of_the_settings():
    defaults = host_settings.Settings()
    for option in commands.host.params:
        if isinstance(option, click.Option) and option.name not in {"config", "no_credentials"}:
            assert option.show_default == str(getattr(defaults, option.name or ""))
