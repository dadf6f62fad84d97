"""One tree of errors, each with the exit code of its kind."""

from __future__ import annotations

import pytest

from shelfwise.domain import errors


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.ShelfwiseError, 1), (errors.ParameterError, 2), (errors.DataError, 3), (errors.FileRefused, 3),
        (errors.AmbiguousDates, 3), (errors.PanelError, 3), (errors.NotFound, 3), (errors.ModelError, 1),
        (errors.StorageError, 1), (errors.MigrationNeeded, 1), (errors.ConflictError, 1), (errors.ExportError, 1),
        (errors.OutOfMemory, 1),
    ],
)  # fmt: skip
def test_each_kind_has_the_exit_code_of_the_tree(kind, code):
    assert kind.exit_code == code
    assert issubclass(kind, errors.ShelfwiseError)


def test_every_error_of_the_tree_is_drawn_in_its_docstring():
    kinds = [v for v in vars(errors).values() if isinstance(v, type) and issubclass(v, errors.ShelfwiseError)]
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in kinds)


def test_a_bad_parameter_is_a_value_error_too():
    with pytest.raises(ValueError, match="season must be"):
        raise errors.ParameterError("season must be at least 1 period, got 0")


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (errors.Place("a.csv"), "a.csv"),
        (errors.Place("a.csv", 1234), "a.csv, line 1,234"),
        (errors.Place("a.csv", None, "Qty"), "a.csv, column 'Qty'"),
        (errors.Place("a.csv", 3, "Qty"), "a.csv, line 3, column 'Qty'"),
    ],
)
def test_a_place_reads_from_file_to_column(place, text):
    assert str(place) == text


def test_a_refusal_without_a_value_goes_straight_to_the_rule():
    refused = errors.FileRefused(errors.Place("a.csv"), "", "has no header row", "add one")
    assert str(refused) == "a.csv: has no header row; add one"


def test_doubtful_dates_show_both_readings():
    doubt = errors.AmbiguousDates(errors.Place("a.csv", None, "date"), [("01/02/2026", "1 Feb 2026", "2 Jan 2026")])
    assert "--date-order dmy" in str(doubt)
    assert "1 Feb 2026" in str(doubt)
    assert "2 Jan 2026" in str(doubt)
