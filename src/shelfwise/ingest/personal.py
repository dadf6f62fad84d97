"""Keep data about persons out: which headers name it, and how text is shown without it."""

from __future__ import annotations

import re
from typing import Final

import polars as pl

from shelfwise.ingest.detect import normalised

_PERSONAL: Final = (
    "customer", "client", "kunde", "cliente", "klant", "buyer", "email", "mail", "phone", "telefon", "telephone",
    "mobile", "address", "adresse", "street", "firstname", "lastname", "surname", "fullname", "contact", "birth",
    "zip", "postcode", "postalcode", "iban", "card", "employee", "cashier", "username", "ipaddress", "passport",
    "billing", "shippingname", "shippingcompany", "shippingcity", "shippingprovince", "shippingcountry", "recipient",
    "pansuffix", "notes", "noteattributes", "fulfillmentnote",  # what people write in notes may name somebody
)  # fmt: skip
_MAIL: Final = r"[^\s@<>,;:\"']+@[^\s@<>,;:\"']+\.[A-Za-z]{2,}"


def is_personal(header: str) -> bool:
    """Whether a header names data about a person.

    >>> is_personal("Customer ID"), is_personal("Billing Phone"), is_personal("Quantity")
    (True, True, False)
    """
    plain = normalised(header)
    return any(word in plain for word in _PERSONAL) or re.search(_MAIL, header) is not None


def masked(text: str) -> str:
    """Return ``text`` short enough to show and with e-mail addresses blotted out.

    >>> masked("ask jane@example.com")
    'ask [e-mail]'
    """
    plain = re.sub(_MAIL, "[e-mail]", text.replace("\0", " ")[:400]).replace("\n", " ").replace("\r", " ")
    return plain if len(plain) <= 60 else plain[:57] + "..."


def masked_cells(cells: pl.Expr) -> pl.Expr:
    """Return text cells with e-mail addresses blotted out."""
    return (
        pl.when(cells.str.contains("@", literal=True)).then(cells.str.replace_all(_MAIL, "[e-mail]")).otherwise(cells)
    )
