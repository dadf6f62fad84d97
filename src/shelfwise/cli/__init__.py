"""The command line. It translates words into calls and results into tables, and decides nothing.

Modules load what computes inside their functions, because a person who asks for ``--help`` waits for none of it.
"""
