"""A person names things by code or name, in any case; near names help where there is none."""

import polars as pl
import pytest

from shelfwise.domain.errors import NotFound
from shelfwise.services.names import nearest, product_code, supplier_code, warehouse_code

TABLE = pl.DataFrame({"product": ["CF-1", "cf-1", "TE-2"], "name": ["Hand grinder", None, "Green tea"]})


def test_the_exact_code_wins_over_one_that_differs_by_case() -> None:
    assert product_code(TABLE, "cf-1") == "cf-1"
    assert product_code(TABLE, "CF-1") == "CF-1"


def test_a_name_or_another_case_finds_the_code() -> None:
    assert product_code(TABLE, "green TEA") == "TE-2"
    assert product_code(TABLE, "te-2") == "TE-2"


def test_what_is_not_there_is_answered_with_the_nearest() -> None:
    with pytest.raises(NotFound, match=r"the nearest is TE-2 \(Green tea\)"):
        product_code(TABLE, "TE-3")
    with pytest.raises(NotFound, match="there are none yet"):
        supplier_code(pl.DataFrame(schema={"supplier": pl.String, "name": pl.String}), "Hario")


def test_where_nothing_is_near_it_is_said_how_to_see_what_there_is() -> None:
    with pytest.raises(NotFound, match="`shelfwise products` lists the 3 there are"):
        product_code(TABLE, "ZZZZ")
    with pytest.raises(NotFound, match="there are main, cellar"):
        warehouse_code(pl.DataFrame({"warehouse": ["main", "cellar"], "name": [None, None]}), "nowhere")


def test_the_nearest_of_very_many_are_found_by_code_and_by_part_of_the_name() -> None:
    codes = [f"P{n:05}" for n in range(5000)]
    names = [f"thing {n}" for n in range(4999)] + ["copper kettle"]
    assert "P00123" in nearest("P00123X", codes, names)
    assert nearest("kettle", codes, names) == ["P04999"]
