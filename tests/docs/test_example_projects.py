"""The projects of examples/ that need no host do what they say, and every folder has its test."""

import ast
import datetime as dt
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import atoll as dg

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
# Which test runs the files of a folder.
TESTED_BY = {
    "asset_sensor_guide": "tests/e2e/test_examples.py",
    "backfills": "tests/e2e/test_backfills_across_locations.py",
    "declarative_automation": "tests/docs/test_example_projects.py",
    "concurrency": "tests/e2e/test_what_runs_at_once.py",
    "flights_mesh": "tests/e2e/test_examples.py",
    "freshness": "tests/docs/test_example_projects.py",
    "ops_and_graphs": "tests/docs/test_example_projects.py",
    "partitioned_pipeline": "tests/docs/test_example_projects.py",
    "pipes": "tests/code_server/pipes/test_the_examples_speak_the_protocol.py",
    "quality_checks": "tests/docs/test_example_projects.py",
    "quickstart": "tests/e2e/test_dev_runs_a_project.py",
    "schedules": "tests/docs/test_example_projects.py",
    "sensors": "tests/e2e/test_sensors_of_the_example.py",
    "testing_a_location": "tests/docs/test_example_projects.py",
}


@pytest.fixture
def project(monkeypatch, tmp_path):
    """Loads the definitions of an example, by their path, as a code server does."""
    monkeypatch.chdir(tmp_path)

    def load(name):
        path = EXAMPLES / name / "definitions.py"
        spec = importlib.util.spec_from_file_location(f"example_{name}", path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
        module.defs.validate_loadable()
        return module

    return load


def _run(defs, *assets, **options):
    """Materialize assets of a location, as a run that the host launches does."""
    job = defs.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(asset_selection=[dg.AssetKey(one) for one in assets], **options)


def test_partitions_of_three_kinds(project):
    shop = project("partitioned_pipeline")
    for region in ("eu", "us"):
        assert _run(shop.defs, "prices", partition_key=region).success
    for day in ("2026-01-02", "2026-01-03"):
        for region in ("eu", "us"):
            key = dg.MultiPartitionKey({"day": day, "region": region})
            assert _run(shop.defs, "sales", partition_key=key).success
        assert _run(shop.defs, "report", partition_key=day).success
    result = _run(shop.defs, "growth", partition_key="2026-01-03")
    assert result.asset_value("growth") == pytest.approx(2.2)
    stored = sorted(path.name for path in Path(".atoll/shop/sales/2026-01-02").iterdir())
    assert stored == ["eu.json", "us.json"]


class _Ticks:
    """Evaluates the conditions of a location again and again."""

    def __init__(self, defs, now):
        self.defs = defs
        self.instance = dg.Instance.ephemeral()
        self.now = now
        self.cursor = None

    def after(self, **passed):
        """Let time pass, and return what is requested, by key."""
        self.now += dt.timedelta(**passed)
        result = dg.evaluate_automation_conditions(
            self.defs, self.instance, evaluation_time=self.now, cursor=self.cursor
        )
        self.cursor = result.cursor
        return {
            one.key.to_user_string(): sorted(one.true_subset.expensively_compute_partition_keys())
            for one in result.results
            if one.true_subset
        }

    def made(self, *keys):
        """Report materializations."""
        for key in keys:
            self.instance.report_runless_asset_event(dg.AssetMaterialization(key))


def test_assets_that_say_themselves_when_they_are_made(project):
    shop = project("declarative_automation")
    ticks = _Ticks(shop.defs, dt.datetime(2026, 3, 31, 12, tzinfo=dt.UTC))
    ticks.made("exchange_rates", "orders", "search_index")
    assert ticks.after(seconds=30) == {}
    ticks.made("exchange_rates")
    assert ticks.after(seconds=30) == {}
    ticks.made("orders")
    followers = {"orders:orders_look_right": [], "rebuild_search": [], "revenue": []}
    assert ticks.after(seconds=30) == followers
    ticks.made("revenue")
    days = ["2026-03-28", "2026-03-29", "2026-03-30"]
    assert ticks.after(seconds=30) == {"revenue_by_day": days}
    assert ticks.after(hours=9) == {"big_model": []}

    # The first of April, seven o'clock in Berlin: the letter waits for revenue and its check.
    assert ticks.after(hours=10) == {"revenue_by_day": ["2026-03-31"]}
    job = shop.defs.resolve_implicit_global_asset_job_def()
    revenue = [dg.AssetKey("revenue")]
    assert job.execute_in_process(asset_selection=revenue, instance=ticks.instance).success
    requested = ticks.after(seconds=30)
    assert "monthly_letter" in requested
    assert "big_model" not in requested


@pytest.fixture
def shop_run(project):
    """Materializes and checks the orders that are given."""
    shop = project("quality_checks")

    def run(orders):
        source = shop.Source(orders=orders)
        return shop.defs.resolve_implicit_global_asset_job_def().execute_in_process(
            resources={"source": source}, raise_on_error=False
        )

    return run


def _found(result):
    events = result.filter_events(dg.EventType.ASSET_CHECK_EVALUATION)
    found = [event.asset_check_evaluation for event in events]
    return {one.check_name: one.passed for one in found}


def test_good_orders_pass_all_checks(shop_run):
    result = shop_run([{"id": 1, "pieces": 3}, {"id": 2, "pieces": 4}])
    assert result.success
    assert result.asset_value("report") == 7
    assert _found(result) == {
        "has_rows": True,
        "ids_are_unique": True,
        "pieces_within_bounds": True,
        "enough_orders": True,
    }


def test_doubled_orders_stop_the_report(shop_run):
    result = shop_run([{"id": 1, "pieces": 3}, {"id": 1, "pieces": 3}])
    assert not result.success
    assert not _found(result)["ids_are_unique"]
    skipped = result.filter_events(dg.EventType.STEP_SKIPPED)
    assert [event.step_key for event in skipped] == ["report"]


def test_a_strange_day_is_told_and_stops_nothing(shop_run):
    result = shop_run([{"id": 1, "pieces": 5_000}])
    assert result.success
    found = _found(result)
    assert not found["pieces_within_bounds"]
    assert not found["enough_orders"]
    assert result.asset_value("report") == 5_000


@pytest.fixture
def files(project):
    return project("ops_and_graphs")


def _sent():
    return Path("outbox.txt").read_text().splitlines()


def test_files_are_processed_side_by_side(files):
    outbox = files.Outbox(path="outbox.txt")
    job = files.defs.resolve_job_def("process_files")
    result = job.execute_in_process(resources={"outbox": outbox})
    assert result.success
    assert _sent() == ["4 words"]
    restarted = {event.step_key for event in result.filter_events(dg.EventType.STEP_RESTARTED)}
    assert restarted == {"count_words[a]", "count_words[b]"}
    skipped = result.filter_events(dg.EventType.STEP_SKIPPED)
    assert [event.step_key for event in skipped] == ["send_warning"]


def test_config_says_which_files(files):
    outbox = files.Outbox(path="outbox.txt")
    result = files.defs.resolve_job_def("process_files").execute_in_process(
        run_config=dg.RunConfig(ops={"texts": files.Files(texts={"empty": ""})}),
        resources={"outbox": outbox},
    )
    assert result.success
    assert sorted(_sent()) == ["0 words", "all files are empty"]


def test_a_hook_tells_of_failures(files):
    outbox = files.Outbox(path="outbox.txt")
    result = files.defs.resolve_job_def("process_files").execute_in_process(
        run_config=dg.RunConfig(ops={"texts": files.Files(texts={"bad-name": ""})}),
        resources={"outbox": outbox},
        raise_on_error=False,
    )
    assert not result.success
    (told,) = _sent()
    assert told.startswith("texts failed")


def test_a_graph_is_a_step_of_another_job(files):
    outbox = files.Outbox(path="outbox.txt")
    job = files.defs.resolve_job_def("count_only")
    assert job.execute_in_process(resources={"outbox": outbox}).success
    assert _sent() == ["4 words"]


def test_schedules_of_a_shop_are_due_as_they_say(project):
    shop = project("schedules")
    made = {one.name: shop.defs.get_schedule_def(one.name) for one in shop.defs.schedules}
    assert sorted(made) == [
        "after_each_day",
        "close_books",
        "fetch_prices",
        "stock_taking_new_york",
        "stock_taking_zurich",
    ]
    assert made["stock_taking_new_york"].execution_timezone == "America/New_York"
    assert list(made["close_books"].cron_schedules) == ["0 18 * * 5", "0 9 l * *"]
    assert made["after_each_day"].cron_schedule == "30 0 * * *"
    assert made["after_each_day"].policies.max_catchup_runs == 14
    assert shop.defs.resolve_job_def("books").execute_in_process().success


@pytest.mark.slow
@pytest.mark.parametrize(("folder", "passed"), [("testing_a_location", 8), ("schedules", 4)])
def test_the_tests_of_a_location_pass_where_it_stands(folder, passed, tmp_path):
    copied = shutil.copytree(EXAMPLES / folder, tmp_path / "location")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command, cwd=copied, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{passed} passed" in done.stdout


def test_every_folder_has_its_test():
    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir()}
    assert folders == set(TESTED_BY)
    for folder, test in TESTED_BY.items():
        tree = ast.parse((ROOT / test).read_text())
        told = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        assert folder in told, f"{test} does not name {folder}"


def test_every_folder_says_what_it_shows():
    without = [folder for folder in TESTED_BY if not (EXAMPLES / folder / "README.md").is_file()]
    assert without == []


def test_every_table_says_how_old_it_may_become(project):
    warehouse = project("freshness")
    policies = {
        spec.key.to_user_string(): spec.freshness_policy
        for spec in warehouse.defs.resolve_all_asset_specs()
    }
    assert policies["orders"] is warehouse.HOURLY
    assert policies["exchange_rates"].deadline_cron == "0 8 * * 1-5"
    assert policies["customers"] == policies["report"]
    assert policies["report"].fail_window.total_seconds() == 26 * 3600
    assert _run(warehouse.defs, "orders", "customers", "report").asset_value("report") == 3.5
