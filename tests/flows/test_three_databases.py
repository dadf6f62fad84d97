"""The whole way from files to orders on each kind of database: the same numbers, whatever is underneath."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from tests.flows.test_first_five_minutes import exports
from tests.storage.databases import EVERY, empty_address

from shelfwise.app import open_app
from shelfwise.library import Store

__all__ = ["exports"]
FILES = ("sales.csv", "stock.csv", "products.csv", "suppliers.csv")


def whole_way(folder: Path, address: object) -> dict[str, pl.DataFrame]:
    """Import the files, import them again, plan, approve everything, and tell what there is then."""
    app = open_app(address, model="base_level", n_paths=50)  # type: ignore[arg-type]
    with Store(app) as store:
        paths = [folder / name for name in FILES]
        store.import_files(*paths)
        store.import_files(*paths)
        plan = store.plan()
        found = {"orders": plan.orders, "lines": plan.lines}
        store.approve("all")
        return found | {
            "products": store.products(),
            "purchase orders": store.purchase_orders(),
            "risks": store.risks(correct=False).table,
        }


@pytest.fixture(scope="module")
def on_a_file(exports: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    return whole_way(exports, tmp_path_factory.mktemp("file") / "shop.db")


@pytest.mark.slow
@pytest.mark.parametrize("kind", EVERY[1:])
def test_the_way_from_files_to_orders_has_the_same_numbers_on_every_kind_of_database(
    kind: str, exports: Path, on_a_file: dict[str, pl.DataFrame], tmp_path: Path
) -> None:
    with empty_address(kind, tmp_path) as address:
        on_a_server = whole_way(exports, address)
    for name, frame in on_a_file.items():
        assert frame.height > 0, name
        changing = [column for column in frame.columns if column in ("created_at", "approved_at")]
        # The order in which a database hands out what is summed moves the last digits.
        assert_frame_equal(on_a_server[name].drop(changing), frame.drop(changing), rel_tol=1e-9, abs_tol=1e-9)
