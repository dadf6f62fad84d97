"""Other services over HTTP: pages of rows, asked for with patience, read within limits, checked one by one.

The contract is in docs/connectors.md.
"""
