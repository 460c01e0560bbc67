"""Choosing accounts when nothing is known for sure: what changes, shrinkage, learning, criteria, reasons, backtest."""
