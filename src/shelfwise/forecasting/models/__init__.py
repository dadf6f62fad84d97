"""One file per model; ``forecasting/catalog.py`` is the list."""
