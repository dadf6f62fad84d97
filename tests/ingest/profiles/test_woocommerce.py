"""WooCommerce's orders become sales from whichever export they come, each line once."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ingest.exports import woocommerce
from tests.ingest.exports.made_up import SURNAMES, MadeUp, made_up_shop

from shelfwise.domain.errors import FileRefused
from shelfwise.ingest import Batch, read
from shelfwise.ingest.profiles.packed import Names, plain_name

TODAY = dt.date(2024, 11, 18)
LINES = "order_number,order_date,status,item_name,item_sku,item_quantity,item_total"
REPORT = "Date,Order #,Status,Customer,Product(s),Items sold,Net Sales"
CATALOGUE = "ID,Type,SKU,Name,Published,Stock,Regular price,Categories,Parent,Cost of goods"


@pytest.fixture(scope="module")
def shop() -> MadeUp:
    return made_up_shop(seed=8, today=TODAY, n_products=15, n_days=80, warehouses=("main",))


def written(folder: Path, *lines: str, header: str = LINES, name: str = "orders.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def exported(table: pl.DataFrame, folder: Path, name: str = "export.csv") -> Path:
    table.write_csv(folder / name)
    return folder / name


def imported(*paths: Path) -> Batch:
    return read(list(paths), today=TODAY)


def told(batch: Batch, *columns: str) -> list[tuple[object, ...]]:
    return batch.frames["movements"].select(*columns).rows()


def sold(batch: Batch) -> pl.DataFrame:
    day = pl.col("occurred_at").dt.date().alias("day")
    sales = batch.frames["movements"].filter(pl.col("kind") == "sale")
    return sales.group_by("product", "warehouse", day).agg(pl.col("quantity").sum()).sort("product", "warehouse", "day")


def catalogue(folder: Path, *rows: str) -> Path:
    return written(folder, *rows, header=CATALOGUE, name="products.csv")


def test_demand_stock_and_products_tie_out(shop: MadeUp, tmp_path: Path) -> None:
    batch = imported(*woocommerce.write(shop, tmp_path))
    assert batch.rejects.is_empty()
    assert sold(batch).equals(shop.sold())
    levels = batch.frames["stock_levels"].select("product", "warehouse", "on_hand").sort("product")
    assert levels.equals(shop.on_hand())
    columns = ["product", "name", "category", "unit_cost", "price"]
    assert batch.frames["products"].select(columns).equals(shop.products.select(columns))
    returned = batch.frames["movements"].filter(pl.col("kind") == "return")["quantity"].sum()
    assert returned == woocommerce.refunded(shop) > 0


def test_every_kind_of_export_tells_the_same_lines_and_they_count_once(shop: MadeUp, tmp_path: Path) -> None:
    products = exported(woocommerce.catalogue(shop), tmp_path, "products.csv")
    lines = exported(woocommerce.order_lines(shop), tmp_path, "lines.csv")
    advanced = exported(woocommerce.advanced_lines(shop), tmp_path, "advanced.csv")
    report = exported(woocommerce.orders_report(shop), tmp_path, "report.csv")
    ids = []
    for path in (lines, advanced, report):
        batch = imported(path, products)
        assert batch.rejects.is_empty()
        assert sold(batch).equals(shop.sold())
        ids.append(set(batch.frames["movements"].filter(pl.col("kind") == "sale")["line_id"]))
    assert ids[0] == ids[1] == ids[2]
    assert sold(imported(lines, report, advanced, products)).equals(shop.sold())


def test_overlapping_exports_book_each_line_once(shop: MadeUp, tmp_path: Path) -> None:
    table = woocommerce.order_lines(shop)
    orders = table["order_number"].unique().sort()
    early = table.filter(pl.col("order_number") <= orders[len(orders) * 2 // 3])
    late = table.filter(pl.col("order_number") >= orders[len(orders) // 3]).reverse()
    whole = imported(exported(table, tmp_path)).frames["movements"]
    both = imported(exported(early, tmp_path, "a.csv"), exported(late, tmp_path, "b.csv")).frames["movements"]
    assert both.sort("line_id").equals(whole.sort("line_id"))
    apart = [set(imported(tmp_path / name).frames["movements"]["line_id"]) for name in ("a.csv", "b.csv")]
    assert apart[0] | apart[1] == set(whole["line_id"])


def test_a_workbook_with_typed_cells_says_what_text_says(shop: MadeUp, tmp_path: Path) -> None:
    lines = woocommerce.order_lines(shop)
    typed = lines.with_columns(pl.col("order_date").str.to_datetime("%Y-%m-%d %H:%M:%S"))
    typed.write_excel(tmp_path / "orders.xlsx")
    text = imported(exported(lines, tmp_path)).frames["movements"]
    assert imported(tmp_path / "orders.xlsx").frames["movements"].equals(text)


def test_headers_of_a_translated_site_are_known(shop: MadeUp, tmp_path: Path) -> None:
    products = exported(woocommerce.catalogue(shop), tmp_path, "products.csv")
    french = woocommerce.orders_report(shop).rename(woocommerce.FRENCH)
    state = {"Completed": "Terminée", "Processing": "En cours", "Cancelled": "Annulée", "Refunded": "Remboursée",
             "Failed": "Échouée", "Pending": "Attente paiement", "On-Hold": "En attente",
             "Checkout-Draft": "Brouillon"}  # fmt: skip
    path = exported(french.with_columns(pl.col("État").replace(state)), tmp_path)
    assert sold(imported(path, products)).equals(shop.sold())
    german = {"Type": "Typ", "SKU": "Artikelnummer", "Published": "Veröffentlicht", "Stock": "Lager",
              "Regular price": "Regulärer Preis", "Categories": "Kategorien",
              "Cost of goods": "Warenkosten"}  # fmt: skip
    german_products = exported(woocommerce.catalogue(shop).rename(german), tmp_path, "produkte.csv")
    batch = imported(german_products)
    columns = ["product", "name", "category", "unit_cost", "price"]
    assert batch.frames["products"].select(columns).equals(shop.products.select(columns))


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ("completed", None), ("wc-processing", None), ("Completed", None), ("In Bearbeitung", None),
        ("cancelled", "cancelled order"), ("wc-refunded", "refunded order"), ("failed", "failed order"),
        ("pending", "not paid yet"), ("on-hold", "not paid yet"), ("checkout-draft", "draft"),
    ],
)  # fmt: skip
def test_only_orders_that_are_paid_for_count(tmp_path: Path, status: str, why: str | None) -> None:
    path = written(tmp_path, f"1,2024-05-02 10:00:00,{status},Mug,A,2,20", "2,2024-05-02 11:00:00,completed,Mug,A,1,10")
    batch = imported(path)
    assert len(told(batch, "quantity")) == (2 if why is None else 1)
    assert why is None or why in str(batch.receipt)


def test_a_status_nobody_knows_is_rejected_and_not_guessed(tmp_path: Path) -> None:
    good = [f"{n},2024-05-02 10:00:00,completed,Mug,A,1,10" for n in range(20)]
    batch = imported(written(tmp_path, *good, "99,2024-05-02 10:00:00,on the moon,Mug,A,2,20"))
    assert batch.rejects.select("line", "value").rows() == [(22, "on the moon")]


def test_refunded_units_return_whatever_their_sign_and_never_change_the_sale(tmp_path: Path) -> None:
    header = LINES + ",item_refunded_qty"
    before = written(tmp_path, "1,2024-05-02 10:00:00,completed,Mug,A,3,30,0", header=header, name="a.csv")
    after = written(tmp_path, "1,2024-05-02 10:00:00,completed,Mug,A,3,30,-2", header=header, name="b.csv")
    assert told(imported(before), "line_id", "kind", "quantity") == [("1/A", "sale", 3.0)]
    assert told(imported(after), "line_id", "kind", "quantity") == [("1/A", "sale", 3.0), ("1/A/back", "return", 2.0)]
    header = "Order Number,Order Date,Order Status,Item Name,SKU,Quantity (- Refund),Item Cost"
    net = imported(written(tmp_path, "1,2024-05-02 10:00,Completed,Mug,A,1,10", header=header))
    assert told(net, "quantity") == [(1.0,)]
    assert "demand is too low" in str(net.receipt)


def test_lines_without_a_sku_go_by_the_product_list_or_by_their_name(tmp_path: Path) -> None:
    lines = written(tmp_path, "1,2024-05-02 10:00:00,completed,Salt &amp; Pepper,,2,20",
                    "2,2024-05-02 10:00:00,completed,Lost thing,,1,10")  # fmt: skip
    products = catalogue(tmp_path, "1,simple,SP-1,Salt & Pepper,1,5,10,Spice,,4")
    assert told(imported(lines, products), "product", "quantity") == [("SP-1", 2.0), ("Lost thing", 1.0)]
    alone = imported(lines)
    assert told(alone, "product") == [("Salt & Pepper",), ("Lost thing",)]
    assert "2 line(s) have no SKU" in str(alone.receipt)


def test_prices_may_be_formatted_money(tmp_path: Path) -> None:
    header = "Order Number;Order Date;Order Status;Item Name;SKU;Quantity;Item Cost"
    rows = ("1;2024-05-02 10:00;Completed;Mug;A;2;€12,00", "2;2024-05-03 10:00;Completed;Mug;A;1;€1.012,50")
    path = written(tmp_path, *rows, header=header)
    assert told(imported(path), "unit_price") == [(12.0,), (1012.5,)]


def test_gift_cards_shipping_and_virtual_products_are_no_goods(tmp_path: Path) -> None:
    lines = written(
        tmp_path, "1,2024-05-02 10:00:00,completed,Gift card,GC,1,50",
        "1,2024-05-02 10:00:00,completed,Manual,PDF-1,1,5", "1,2024-05-02 10:00:00,completed,Mug,A,1,10",
    )  # fmt: skip
    products = catalogue(
        tmp_path, '1,"simple, virtual, downloadable",PDF-1,Manual,1,,5,Books,,', "2,simple,A,Mug,1,4,10,Cups,,3"
    )
    batch = imported(lines, products)
    assert told(batch, "product") == [("A",)]
    assert batch.frames["products"]["product"].to_list() == ["A"]
    assert "is a virtual product" in str(batch.receipt)


def packed(folder: Path, text: str, sold: int, *names: str) -> Batch:
    rows = [f'{n},simple,P{n},"{name}",1,5,10,Cat,,4' for n, name in enumerate(names, start=1)]
    filler = [f"2024-05-01 10:00:00,#{n},Completed,Kim,1× {names[0]},1,€9" for n in range(100, 112)]
    order = f'2024-05-02 10:00:00,#7,Completed,Kim,"{text}",{sold},"€12,00"'
    report = written(folder, *filler, order, header=REPORT)
    return imported(report, catalogue(folder, *rows))


def of_seven(batch: Batch) -> list[tuple[object, ...]]:
    rows = batch.frames["movements"].filter(pl.col("line_id").str.starts_with("7/"))
    return sorted(rows.select("product", "quantity").rows())


def test_packed_names_may_hold_commas_and_numbers(tmp_path: Path) -> None:
    batch = packed(
        tmp_path, "2× T-Shirt - Blue, L, 1× Set of 3, large, 10× Mug", 13, "Mug", "T-Shirt - Blue, L", "Set of 3, large"
    )
    assert of_seven(batch) == [("P1", 10.0), ("P2", 2.0), ("P3", 1.0)]


def test_a_name_that_itself_looks_packed_is_read_where_only_one_reading_holds(tmp_path: Path) -> None:
    batch = packed(tmp_path, "1× Box, 2× Tea, 3× Mug", 4, "Mug", "Box, 2× Tea")
    assert of_seven(batch) == [("P1", 3.0), ("P2", 1.0)]
    batch = packed(tmp_path, "1× Box, 2× Tea", 1, "Mug", "Box", "Tea", "Box, 2× Tea")
    assert of_seven(batch) == [("P4", 1.0)], "the number of items decides"
    batch = packed(tmp_path, "1× Box, 2× Tea", 3, "Mug", "Box", "Tea", "Box, 2× Tea")
    assert of_seven(batch) == [("P2", 1.0), ("P3", 2.0)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1× Nobody knows", "is no product of the list"),
        ("1× Twin", "2 products of the list are called so"),
        ("Mug", "does not begin with a quantity"),
    ],
)
def test_what_cannot_be_told_is_rejected_with_its_reason(tmp_path: Path, text: str, says: str) -> None:
    batch = packed(tmp_path, text, 1, "Mug", "Twin", "Twin")
    assert of_seven(batch) == []
    assert says in batch.rejects["reason"][0]
    assert batch.rejects["line"].to_list() == [14]


def test_a_report_of_names_alone_is_refused_with_the_way_out(shop: MadeUp, tmp_path: Path) -> None:
    with pytest.raises(FileRefused, match="product export along"):
        imported(exported(woocommerce.orders_report(shop), tmp_path))


_NAME = st.text(st.characters(categories=["L", "Nd", "P", "Zs"], exclude_characters="×&\"'"), min_size=1, max_size=12)


@given(st.lists(st.tuples(st.integers(1, 99), _NAME.filter(lambda name: name.strip().rstrip(",") == name and name)),
                min_size=1, max_size=6))  # fmt: skip
def test_unpacking_undoes_packing_whatever_the_names(items: list[tuple[int, str]]) -> None:
    names = Names({plain_name(name): frozenset([plain_name(name)]) for _, name in items})
    found = names.unpack(", ".join(f"{units}× {name}" for units, name in items), sum(units for units, _ in items))
    assert found.wrong is None
    assert list(found.items) == [(float(units), plain_name(name)) for units, name in items]


def test_the_products_report_is_a_list_of_products_and_no_sales(shop: MadeUp, tmp_path: Path) -> None:
    path = exported(woocommerce.products_report(shop), tmp_path, "products.csv")
    batch = imported(path)
    assert "movements" not in batch.frames
    columns = ["product", "name", "category"]
    assert batch.frames["products"].select(columns).equals(shop.products.select(columns))
    assert "belong to no day: nothing is booked of them" in str(batch.receipt)
    assert "Analytics > Orders" in str(batch.receipt)
    report = exported(woocommerce.orders_report(shop), tmp_path, "orders.csv")
    assert sold(imported(report, path)).equals(shop.sold()), "its names lead to the SKUs too"


def test_of_the_catalogue_variations_and_simple_products_are_products(tmp_path: Path) -> None:
    path = catalogue(
        tmp_path, "1,variable,TS,T-Shirt,1,9,,Clothes,,", "2,variation,TS-S,T-Shirt - S,1,parent,12,Clothes,TS,5",
        "3,variation,TS-M,T-Shirt - M,1,4,12,Clothes,TS,5", "4,grouped,SET,Outfit,1,,,Clothes,,",
        "5,external,EXT,Elsewhere,1,,9,Clothes,,", '6,simple,,No code,1,-2,3,"Home > Cups, Sale",,1',
        "7,simple,N,Uncounted,1,,3,Cups,,1",
    )  # fmt: skip
    batch = imported(path)
    assert batch.frames["products"].select("product", "category").rows() == [
        ("TS-S", "Clothes"), ("TS-M", "Clothes"), ("No code", "Cups"), ("N", "Cups"),
    ]  # fmt: skip
    levels = batch.frames["stock_levels"].select("product", "on_hand").rows()
    assert levels == [("TS-M", 4.0), ("No code", 0.0)]
    text = str(batch.receipt)
    for part in ("share the stock of their parent", "below zero", "1 row(s) have no SKU", "sold elsewhere"):
        assert part in text


def test_no_customer_enters_a_frame_a_reject_or_the_receipt(shop: MadeUp, tmp_path: Path) -> None:
    products = exported(woocommerce.catalogue(shop), tmp_path, "products.csv")
    for table in (woocommerce.order_lines(shop), woocommerce.advanced_lines(shop), woocommerce.orders_report(shop)):
        assert any(name in table.write_csv() for name in SURNAMES)
        batch = imported(exported(table, tmp_path), products)
        frames = [frame.write_csv() for frame in (*batch.frames.values(), batch.rejects)]
        text = "\n".join([*frames, str(batch.receipt), batch.receipt.to_json()])
        assert not [name for name in (*SURNAMES, "@example.com", "Nowhere") if name.lower() in text.lower()]
