"""What a stranger does in the first five minutes, through the real command line, on real files."""

from __future__ import annotations

import datetime as dt
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from shelfwise.demo import make_shop

COMMAND = [sys.executable, "-c", "from shelfwise.cli.main import main; main()"]
MONDAY = dt.date(2024, 11, 18)


def shelfwise(folder: Path, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the program as its own process in ``folder``."""
    return subprocess.run(
        [*COMMAND, *arguments], cwd=folder, capture_output=True, text=True, input=stdin, timeout=300, env=os.environ
    )


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up shop as the files another program would export: sales, stock, products, suppliers."""
    folder = tmp_path_factory.mktemp("exports")
    frames = make_shop(seed=3, today=MONDAY, n_products=20, n_days=420)
    sales = frames["movements"].filter(pl.col("kind") == "sale")
    sales.select(
        date=pl.col("occurred_at").dt.strftime("%Y-%m-%d %H:%M:%S"),
        sku="product",
        location="warehouse",
        units="quantity",
        price="unit_price",
    ).write_csv(folder / "sales.csv")
    frames["stock_levels"].select(
        sku="product", location="warehouse", on_hand="on_hand", as_of=pl.col("as_of").dt.strftime("%Y-%m-%d %H:%M:%S")
    ).write_csv(folder / "stock.csv")
    frames["products"].select(
        "name", "category", "supplier", sku="product", cost="unit_cost", price="price", pack_size="pack_size",
        moq="minimum_order_quantity",
    ).write_csv(folder / "products.csv")  # fmt: skip
    frames["suppliers"].select("supplier", "name", "lead_time_days").write_csv(folder / "suppliers.csv")
    return folder


def test_the_demo_ends_with_orders_and_every_command_it_names_works(tmp_path: Path) -> None:
    demo = shelfwise(tmp_path, "demo")
    assert demo.returncode == 0, demo.stderr
    assert "Nothing in it is real" in demo.stderr
    assert demo.stdout.count("order by ") >= 2
    assert "The 3 most urgent lines" in demo.stdout
    assert re.search(r"\d+ demand [+-] \d+ safety - \d+ on hand - \d+ due = -?\d+ -> ", demo.stdout)
    assert list((tmp_path / "orders" / "demo").glob("*.xlsx"))
    assert not (tmp_path / "shelfwise.db").exists()
    named = re.findall(r"^  (shelfwise .*)$", demo.stdout.partition("\nNext\n")[2], flags=re.MULTILINE)
    assert len(named) >= 4
    for line in named:
        program, *arguments = shlex.split(line)
        assert program == "shelfwise"
        done = shelfwise(tmp_path, *arguments)
        assert done.returncode in (0, 3, 4), f"{line}: {done.stderr}"
        assert done.stdout or arguments[0] == "check", line


def test_the_demo_again_keeps_what_was_decided_and_never_touches_another_shop(tmp_path: Path, exports: Path) -> None:
    shelfwise(tmp_path, "import", str(exports / "sales.csv"), "--database", "mine.db")
    refused = shelfwise(tmp_path, "demo", "--database", "mine.db")
    assert refused.returncode == 1
    assert "mine.db" in refused.stderr
    kept = shelfwise(tmp_path, "forecast", "--database", "mine.db", "--csv")
    assert kept.returncode == 0


def test_own_files_become_orders_in_two_commands(tmp_path: Path, exports: Path) -> None:
    files = [str(exports / f"{name}.csv") for name in ("sales", "stock", "products", "suppliers")]
    imported = shelfwise(tmp_path, "import", *files)
    assert imported.returncode == 0, imported.stderr
    assert "rows" in imported.stdout
    ordered = shelfwise(tmp_path, "order", "--service", "95")
    assert ordered.returncode in (0, 4), ordered.stderr
    assert "order by " in ordered.stdout
    assert "no stock on hand is known" not in ordered.stderr
    product = re.search(r"^  (\S+)@", ordered.stdout, flags=re.MULTILINE)
    assert product is not None
    why = shelfwise(tmp_path, "why", product[1])
    assert why.returncode == 0, why.stderr
    assert "safety" in why.stdout


def test_importing_the_same_files_again_changes_nothing(tmp_path: Path, exports: Path) -> None:
    sales = str(exports / "sales.csv")
    shelfwise(tmp_path, "import", sales)
    first = shelfwise(tmp_path, "forecast", "--csv").stdout
    again = shelfwise(tmp_path, "import", sales)
    assert again.returncode == 0
    assert "imported before" in again.stderr
    assert shelfwise(tmp_path, "forecast", "--csv").stdout == first


def test_sales_alone_are_enough_and_what_is_missing_is_said_loudly(tmp_path: Path, exports: Path) -> None:
    shelfwise(tmp_path, "import", str(exports / "sales.csv"))
    ordered = shelfwise(tmp_path, "order", "--lead-time", "10")
    assert ordered.returncode == 0, ordered.stderr
    assert "no stock on hand is known" in ordered.stderr
    assert "assumed 10 days" in ordered.stderr
    assert "No supplier named" in ordered.stdout
    refused = shelfwise(tmp_path, "order", "--approve", "all", "--lead-time", "10")
    assert refused.returncode == 2
    assert "products edit" in refused.stderr
    health = shelfwise(tmp_path, "check")
    assert health.returncode == 3
    assert "never counted" in health.stdout


def test_an_ambiguous_date_is_refused_with_both_readings_where_nobody_can_be_asked(tmp_path: Path) -> None:
    days = ("01/02/2024", "03/04/2024", "05/06/2024", "01/02/2024")
    rows = "\n".join(f"{day},A,{n}" for n, day in enumerate(days, start=1))
    (tmp_path / "sales.csv").write_text(f"date,sku,units\n{rows}\n")
    refused = shelfwise(tmp_path, "import", "sales.csv")
    assert refused.returncode == 3, refused.stderr
    assert "sales.csv" in refused.stderr
    assert "date" in refused.stderr
    assert "1 Feb 2024" in refused.stderr
    assert "2 Jan 2024" in refused.stderr
    assert "--date-order" in refused.stderr
    assert shelfwise(tmp_path, "import", "sales.csv", "--date-order", "dmy").returncode == 0


def test_a_bad_file_is_refused_as_a_whole_and_leaves_no_trace(tmp_path: Path, exports: Path) -> None:
    (tmp_path / "bad.csv").write_text("colour,shape\nred,round\n")
    refused = shelfwise(tmp_path, "import", str(exports / "sales.csv"), "bad.csv")
    assert refused.returncode == 3
    assert "bad.csv" in refused.stderr
    assert "Traceback" not in refused.stderr
    empty = shelfwise(tmp_path, "forecast")
    assert empty.returncode == 3
    assert "no sales yet" in empty.stderr


def test_bad_lines_go_to_a_file_with_line_and_reason(tmp_path: Path) -> None:
    rows = [f"2024-01-{day:02},A,{day}" for day in range(1, 29)]
    rows[9] = "2024-01-10,A,twelve"
    (tmp_path / "sales.csv").write_text("date,sku,units\n" + "\n".join(rows) + "\n")
    done = shelfwise(tmp_path, "import", "sales.csv")
    assert done.returncode == 0, done.stderr
    rejects = pl.read_csv(tmp_path / "sales.rejects.csv")
    assert rejects.select("shelfwise_line", "shelfwise_value").rows() == [(11, "twelve")]


def test_a_trial_import_books_nothing(tmp_path: Path, exports: Path) -> None:
    trial = shelfwise(tmp_path, "import", str(exports / "sales.csv"), "--dry-run")
    assert trial.returncode == 0
    assert "trial" in trial.stderr
    assert shelfwise(tmp_path, "forecast").returncode == 3
