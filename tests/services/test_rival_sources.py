"""What two exports tell of the same goods is booked from one of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from shelfwise.app import App
from shelfwise.domain.errors import DataError
from shelfwise.services import demand
from shelfwise.services.importing import import_files

MOVES = """date,product_id,quantity,location_id,location_dest_id,state
2024-05-02 09:00:00,[A] Mug,3,WH/Stock,Partners/Customers,done
2024-05-03 09:00:00,[A] Mug,2,WH/Stock,Partners/Customers,done
"""
ORDERS = """order_id,order_id/date_order,product_id,product_uom_qty,price_unit,state
S1,2024-05-02 08:00:00,[A] Mug,3,10,sale
S2,2024-05-03 08:00:00,[A] Mug,2,10,sale
"""


@pytest.mark.parametrize("first_is_moves", [True, False])
def test_stock_moves_and_order_lines_of_odoo_never_count_the_same_sale_twice(
    shop: App, tmp_path: Path, first_is_moves: bool
) -> None:
    moves, orders = tmp_path / "moves.csv", tmp_path / "orders.csv"
    moves.write_text(MOVES)
    orders.write_text(ORDERS)
    first, second = (moves, orders) if first_is_moves else (orders, moves)
    import_files(shop, [first])
    with pytest.raises(DataError, match="count twice"):
        import_files(shop, [second])
    assert demand.load(shop).panel.values.sum() == 5
    assert import_files(shop, [first]).repeated, "the refused import left nothing behind"


def test_more_of_the_same_source_is_welcome(shop: App, tmp_path: Path) -> None:
    for name, line in (("a.csv", "2024-05-04"), ("b.csv", "2024-05-05")):
        (tmp_path / name).write_text(MOVES + f"{line} 09:00:00,[A] Mug,1,WH/Stock,Partners/Customers,done\n")
        import_files(shop, [tmp_path / name])
    assert demand.load(shop).panel.values.sum() == 7
