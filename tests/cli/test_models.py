"""The models commands: trained, listed, shown, deployed and rolled back."""

from __future__ import annotations


def test_a_model_is_trained_deployed_and_rolled_back(shop) -> None:
    assert "no model was trained yet" in shop("models", "list").err
    first = shop("models", "train", "--model", "theta")
    assert first.code == 0
    assert "theta@1 is champion of shop; off by " in first.err
    second = shop("models", "train", "--model", "seasonal_naive")
    assert "seasonal_naive@1 is challenger of shop" in second.err
    assert "shelfwise models deploy seasonal_naive@1" in second.err
    rows = {row["model"]: row for row in shop("models", "list", "--json").data}
    assert {name: row["alias"] for name, row in rows.items()} == {
        "theta@1": "champion", "seasonal_naive@1": "challenger",
    }  # fmt: skip
    assert all(row["wape"] > 0 for row in rows.values())
    deployed = shop("models", "deploy", "seasonal_naive@1", "--reason", "a try")
    assert "seasonal_naive@1 is champion of shop" in deployed.err
    assert "shelfwise models rollback" in deployed.err
    told = shop("models", "show", "seasonal_naive@1", "--json").data
    assert [(one["alias"], one["reason"]) for one in told["deployments"]] == [
        ("champion", "a try"), ("challenger", "deployed by its training"),
    ]  # fmt: skip
    assert "theta@1 is champion of shop" in shop("models", "rollback").err
    again = shop("models", "rollback")
    assert (again.code, "no version was champion of shop before" in again.err) == (1, True)
    assert "metrics: rmse" in shop("models", "show", "theta@1").out


def test_a_model_of_one_product_is_of_its_scope_alone(shop) -> None:
    product = shop("products", "--json").data[0]["product"]
    assert shop("models", "train", "--model", "theta", "--scope", f"product:{product}").code == 0
    (row,) = shop("models", "list", "--scope", f"product:{product}", "--json").data
    assert (row["alias"], row["scope"]) == ("champion", f"product:{product}")
    assert shop("models", "list", "--scope", "shop", "--json").data == []


def test_what_names_no_model_is_refused(shop) -> None:
    for name in ("../../etc/passwd", "theta@0", "@1", "0", "-- "):
        said = shop("models", "show", "--", name)
        assert (said.code, "a model is named by its id" in said.err) == (2, True), name
    missing = shop("models", "show", "theta@9")
    assert (missing.code, "there is no model theta@9" in missing.err) == (3, True)
    unknown = shop("models", "train", "--model", "oracle")
    assert (unknown.code, "model 'oracle' is not known" in unknown.err) == (2, True)
    assert shop("models", "train", "--scope", "warehouse:WEB").code == 2
