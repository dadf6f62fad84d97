"""Checks on what is stored: each file looks at columns for one thing that is odd in them, and changes nothing.

``lines`` is everywhere a frame with a row for each booked sale or return: ``product``, ``warehouse`` (of any one
type), ``file`` (a number for what it was booked with), ``occurred_at`` (naive shop time), ``quantity`` (units; what
came back is negative) and ``unit_price`` (null where it is not known).
"""
