"""Sources that tell of the same goods in two ways: whoever books both counts every sale twice."""

from __future__ import annotations

from typing import Final

ODOO_MOVES: Final = "odoo"
ODOO_ORDERS: Final = "odoo orders"
RIVAL_SOURCES: Final = {ODOO_MOVES: ODOO_ORDERS, ODOO_ORDERS: ODOO_MOVES}
