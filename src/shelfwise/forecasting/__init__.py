"""Forecasting: models behind one contract, backtests over leak-proof windows, and the metrics they are judged by."""
