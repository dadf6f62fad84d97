"""How all tables are written: their types of columns, and how their keys are named."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

from sqlalchemy import (
    BigInteger,
    Dialect,
    Integer,
    MetaData,
    TypeDecorator,
)

CODE_LENGTH: Final = 255
_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001  (shop time has no zone)
_EPOCH_UTC: Final = _EPOCH.replace(tzinfo=UTC)
_EPOCH_DAY: Final = date(1970, 1, 1)
_DAY_ZERO: Final = _EPOCH_DAY.toordinal()


class Moment(TypeDecorator[datetime]):
    """A naive shop time, kept as microseconds since 1970.

    >>> Moment().process_bind_param(datetime(1970, 1, 2), None)
    86400000000
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect | None) -> int | None:
        """Turn a naive datetime into microseconds."""
        return None if value is None else (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, dialect: Dialect | None) -> datetime | None:
        """Turn microseconds into a naive datetime."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


class Instant(TypeDecorator[datetime]):
    """A point in time, kept as microseconds since 1970 in UTC: for what must not jump when the clocks change.

    >>> Instant().process_bind_param(datetime(1970, 1, 2, tzinfo=UTC), None)
    86400000000
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect | None) -> int | None:
        """Turn a moment with a zone into microseconds."""
        return None if value is None else (value - _EPOCH_UTC) // timedelta(microseconds=1)

    def process_result_value(self, value: int | None, dialect: Dialect | None) -> datetime | None:
        """Turn microseconds into a moment in UTC."""
        return None if value is None else _EPOCH_UTC + timedelta(microseconds=value)


class Day(TypeDecorator[date]):
    """A shop day, kept as days since 1970.

    >>> Day().process_bind_param(date(1970, 2, 1), None)
    31
    """

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: date | None, dialect: Dialect | None) -> int | None:
        """Turn a date into days."""
        return None if value is None else value.toordinal() - _DAY_ZERO

    def process_result_value(self, value: int | None, dialect: Dialect | None) -> date | None:
        """Turn days into a date."""
        return None if value is None else date.fromordinal(value + _DAY_ZERO)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
