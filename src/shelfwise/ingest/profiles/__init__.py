"""The formats Shelfwise recognises. Adding one is one file here and one line in this list."""

from __future__ import annotations

from typing import Final

from shelfwise.ingest.profiles.base import Profile
from shelfwise.ingest.profiles.canonical import Canonical
from shelfwise.ingest.profiles.erpnext import ErpNext
from shelfwise.ingest.profiles.invoices import Invoices
from shelfwise.ingest.profiles.long import Long
from shelfwise.ingest.profiles.odoo import Odoo
from shelfwise.ingest.profiles.shopify import Shopify
from shelfwise.ingest.profiles.square import Square
from shelfwise.ingest.profiles.wide import Wide
from shelfwise.ingest.profiles.woocommerce import WooCommerce

# The more particular comes first: it wins when two formats fit a file equally well.
PROFILES: Final[tuple[Profile, ...]] = (
    WooCommerce(), Odoo(), Shopify(), Square(), ErpNext(), Invoices(), Wide(), Long(), Canonical(),
)  # fmt: skip
