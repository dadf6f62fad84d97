"""The made-up shop: a coffee shop with a webshop and a little wholesale, generated and never stored as a file."""

from __future__ import annotations

from shelfwise.demo.catalogue import DEMO_NOTICE
from shelfwise.demo.shop import TRUTH, make_shop, make_shop_with_truth

__all__ = ["DEMO_NOTICE", "TRUTH", "make_shop", "make_shop_with_truth"]
