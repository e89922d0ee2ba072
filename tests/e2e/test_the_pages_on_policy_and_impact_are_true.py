"""The commands of the guides on policy and on impact checks, on two real locations."""

import asyncio
import json
import pathlib
import re
import shlex

import pytest

from tests.e2e import mesh

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

GUIDES = pathlib.Path(__file__).parents[2] / "docs" / "guides"
_FENCE = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_DOCUMENTED = "127.0.0.1:4700"


def blocks(page: str, kind: str) -> list[str]:
    return [text for found, text in _FENCE.findall((GUIDES / page).read_text()) if found == kind]


def lines_of(text: str) -> list[str]:
    return [re.sub(r" {2,}", "  ", line.strip()) for line in text.splitlines() if line.strip()]


@pytest.fixture
def shop(fresh_mesh: mesh.Mesh, tmp_path: pathlib.Path) -> mesh.Mesh:
    """`sales` and `reports`, as the page on impact checks has them."""
    served = tmp_path / "served"
    served.mkdir()
    sales, reports, _ = blocks("impact-check.md", "python")
    (served / "sales.py").write_text(sales)
    (served / "reports.py").write_text(reports)
    fresh_mesh.add("sales", served / "sales.py", options=("--build-id", "sales-1"))
    fresh_mesh.add("reports", served / "reports.py", options=("--build-id", "reports-1"))
    fresh_mesh.start()
    asyncio.run(fresh_mesh.serving("sales", "reports"))
    return fresh_mesh


def test_the_commands_of_the_pages_print_what_the_pages_say(
    shop: mesh.Mesh, tmp_path: pathlib.Path
) -> None:
    (tmp_path / "sales.py").write_text(blocks("impact-check.md", "python")[2])
    address = shop.address
    codes = []
    for block in blocks("impact-check.md", "console"):
        command, *expected = block.replace(_DOCUMENTED, address).splitlines()
        arguments = shlex.split(command)[2:]
        done = shop.cli(*arguments, "--working-directory", str(tmp_path))
        codes.append(done.returncode)
        printed = lines_of(done.stdout)
        for line in lines_of("\n".join(expected)):
            assert any(line.rstrip(",") in each for each in printed), (
                line,
                done.stdout,
                done.stderr,
            )
    assert codes == [1, 0, 1, 1]
    # What is served stays as it was, and breaks nothing.
    same = shop.cli("check", "--file", str(tmp_path / "served/sales.py"), "--against", address)
    assert same.returncode == 0, same.stderr
    assert "nothing of anybody changes" in same.stdout
    new = shop.cli(
        "check", "--file", str(tmp_path / "sales.py"), "--name", "fresh", "--against", address,
        "--json",
    )  # fmt: skip
    document = json.loads(new.stdout)
    assert new.returncode == 1
    assert document["against"]["compared"] is False
    assert {each["rule"] for each in document["against"]["impacts"]} == {"asset-taken"}
    wrong = shop.cli("check", "--file", str(tmp_path / "sales.py"), "--markdown")
    assert wrong.returncode == 2
    away = shop.cli("check", "--file", str(tmp_path / "sales.py"), "--against", "127.0.0.1:1")
    assert away.returncode == 3
    # What the page on policy says, once the team of `sales` closes what it makes.
    (tmp_path / "served/sales.py").write_text(blocks("policy-between-locations.md", "python")[0])
    assert shop.cli("locations", "reload", "sales").returncode == 0
    rules = lines_of(shop.cli("policy", "list", "--location", "sales").stdout)
    assert any("personal data: ask us" in line for line in rules)
    (page,) = re.findall(
        r"`atoll (policy check [^`]+)`", (GUIDES / "policy-between-locations.md").read_text()
    )
    denied = shop.cli(*shlex.split(page))
    assert denied.returncode == 1, denied.stderr
    assert "the policy of location 'sales' does not allow it" in denied.stdout
    allowed = shop.cli("policy", "check", "reports", "watch", "--asset", "orders", "--json")
    assert allowed.returncode == 0
    assert json.loads(allowed.stdout)["allowed"] is True
    nothing = shop.cli("policy", "list", "--denied")
    assert "Nothing that definitions say is denied." in nothing.stdout
