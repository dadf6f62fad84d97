"""`Forecast`: joint sample paths of demand for N series over H periods, and where they came from.

A forecast is either compact (marginal distributions, how they depend on each other, and a seed, from which the very
same paths can be drawn at any time) or made of paths that a model drew itself. Quantiles do not add over time, so
everything that spans periods (lead-time demand, the next 28 days) is a view of the paths.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy

from shelfwise.domain.calendar import Frequency, Moments
from shelfwise.domain.errors import DataError, ParameterError
from shelfwise.domain.marginals import Marginals, check_levels
from shelfwise.domain.paths import Dependence, draw_paths
from shelfwise.domain.tables import rows_at

Floats = npt.NDArray[np.floating[Any]]

_UNREADABLE: Final = (  # what numpy, zip, JSON and the types raise on bytes that were cut or changed
    ValueError, KeyError, TypeError, AttributeError, OSError, EOFError, RuntimeError, MemoryError, OverflowError,
    struct.error, zipfile.BadZipFile, zlib.error, pl.exceptions.PolarsError,
)  # fmt: skip

_CELLS_AT_ONCE: Final = 20_000_000  # path cells [series, S, H] summed at once: 80 MB

DEFAULT_LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class Provenance:
    """Where a forecast came from.

    Parameters
    ----------
    model, version
        Which model of which version.
    data_until
        Label of the last period any series was known for.
    seed
        Seed of the paths.
    notes
        What a reader must know, such as a series that borrowed its level.
    """

    model: str
    version: str
    data_until: dt.datetime | None = None
    seed: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Forecast:
    """Demand over the next H periods of N series.

    Parameters
    ----------
    series
        N rows with ``unique_id`` and attributes, as in the panel.
    starts
        [N] ordinal of each series' first forecast period.
    freq
        Frequency.
    provenance
        Model, version, last date of the data, seed.
    n_paths
        Sample paths S.
    marginals, dependence
        The compact form; None where the model drew paths itself.
    drawn
        [N, S, H] paths of a model that drew them itself; None in the compact form.
    parts, shares
        Forecasts of P other things whose paths are added, in the same worlds, and [N, P] units of each series in one
        of them (a sparse array): the bundles that products are sold in. None where there are none.
    """

    series: pl.DataFrame
    starts: npt.NDArray[np.int64]
    freq: Frequency
    provenance: Provenance
    n_paths: int = 200
    marginals: Marginals | None = None
    dependence: Dependence = field(default_factory=Dependence)
    drawn: npt.NDArray[np.float32] | None = None
    parts: Forecast | None = None
    shares: scipy.sparse.csr_array | None = None

    def __post_init__(self) -> None:
        if (self.marginals is None) == (self.drawn is None):
            raise ParameterError("a forecast holds either marginals or drawn paths, not both and not neither")
        if self.n_paths < 2:
            raise ParameterError(f"n_paths must be at least 2, got {self.n_paths}")
        n = self._body.shape[0]
        if n != self.series.height or n != len(self.starts):
            raise ParameterError(
                f"{n} forecasts do not fit {self.series.height} rows of series and {len(self.starts)} starts"
            )
        if self.drawn is not None and (self.drawn.ndim != 3 or self.drawn.shape[1] != self.n_paths):
            raise ParameterError(f"drawn paths must be [N, {self.n_paths}, H], got {list(self.drawn.shape)}")
        if self.parts is None or self.shares is None:
            if self.parts is not self.shares:
                raise ParameterError("parts and their shares are given together")
            return
        if self.shares.shape != (n, len(self.parts)):
            raise ParameterError(f"shares must be [{n}, {len(self.parts)}], got {list(self.shares.shape)}")
        if (self.parts.n_paths, self.parts.horizon) != (self.n_paths, self.horizon):
            raise ParameterError("parts must have the paths and the horizon of what they are added to")

    @property
    def _body(self) -> Floats:
        body = self.marginals.mean if self.marginals is not None else self.drawn
        assert body is not None  # noqa: S101 - one of the two is set, see __post_init__
        return body

    def __len__(self) -> int:
        """Return N."""
        return len(self.starts)

    def __repr__(self) -> str:
        """Name size and origin, not the arrays."""
        return (
            f"Forecast({len(self)} series x {self.horizon} periods of {self.freq}, {self.n_paths} paths, "
            f"model {self.provenance.model} {self.provenance.version})"
        )

    @property
    def horizon(self) -> int:
        """Number of forecast periods H."""
        return int(self._body.shape[-1])

    @property
    def ids(self) -> pl.Series:
        """[N] unique ids."""
        return self.series["unique_id"]

    @cached_property
    def paths(self) -> npt.NDArray[np.float32]:
        """[N, S, H] joint sample paths in units; path s is the same world for every series.

        Drawn on first use and kept; ``chunks`` keeps memory flat for many series.
        """
        own = self._draw(self.n_paths) if self.drawn is None else self.drawn
        if self.parts is None or self.shares is None or not self.shares.nnz:
            return own
        summed = own.copy()
        for row, part, units in zip(*self.shares.nonzero(), self.shares.data, strict=True):
            summed[row] += np.float32(units) * self.parts.paths[part]
        return summed

    def alone(self) -> Forecast:
        """Return the forecast without its parts: what is sold as itself."""
        return self if self.parts is None else replace(self, parts=None, shares=None)

    def _draw(self, n_paths: int) -> npt.NDArray[np.float32]:
        assert self.marginals is not None  # noqa: S101 - callers have checked
        groups = self.dependence.groups(self.series)
        return draw_paths(self.marginals, self.dependence, self.ids.to_list(), n_paths, self.provenance.seed, groups)

    def with_paths(self, n_paths: int) -> Forecast:
        """Return the same forecast with another number of paths, for example 2,000 for a service level of 0.99.

        Raises
        ------
        ParameterError
            The model drew its own paths and more are asked for than it drew.
        """
        parts = None if self.parts is None else self.parts.with_paths(n_paths)
        if self.drawn is None:
            return replace(self, n_paths=n_paths, parts=parts)
        if n_paths > self.n_paths:
            raise ParameterError(
                f"model {self.provenance.model} drew {self.n_paths} paths, {n_paths} were asked for; "
                f"forecast again with n_paths={n_paths}"
            )
        return replace(self, n_paths=n_paths, drawn=self.drawn[:, :n_paths], parts=parts)

    def mean(self) -> Floats:
        """Return [N, H] expected units."""
        own = self._body if self.marginals is not None else self._body.mean(axis=1)
        if self.parts is None or self.shares is None:
            return own
        summed: Floats = own + self.shares @ self.parts.mean()
        return summed

    def with_mean(self, wanted: Floats) -> Forecast:
        """Return the forecast with other means, every path scaled by the same factor in its period.

        Paths keep their ranks and their worlds, so series and periods depend on each other as before. With f the
        factor on the mean m, a measured quantity has f^2 times its variance v. A count stays whole: above 1 it has
        f^2 v too, below 1 each unit is kept with probability f, f^2 v + f (1 - f) m (binomial thinning: Johnson, Kemp
        and Kotz, Univariate Discrete Distributions, 3rd ed., section 8.3). Where the mean was zero there is nothing to
        scale, and units come as Poisson counts.

        Parameters
        ----------
        wanted
            [N, H] units, zero or more.

        Raises
        ------
        ParameterError
            ``wanted`` has another shape, or numbers that are no demand.

        >>> table = pl.DataFrame({"unique_id": ["a"]})
        >>> body = Marginals(np.full((1, 2), 4.0), np.full((1, 2), 9.0))
        >>> ahead = Forecast(table, np.zeros(1, dtype=np.int64), Frequency.parse("1d"), Provenance("m", "1"), 50, body)
        >>> half = ahead.with_mean(np.array([[2.0, 4.0]]))
        >>> half.mean().tolist(), half.marginals.variance.tolist()
        ([[2.0, 4.0]], [[3.25, 9.0]])
        """
        if self.parts is not None:
            return replace(self.alone(), marginals=None, drawn=self.paths).with_mean(wanted)
        wanted = np.asarray(wanted, dtype=np.float64)
        mean = np.asarray(self.mean(), dtype=np.float64)
        if wanted.shape != mean.shape:
            raise ParameterError(f"means must be {list(mean.shape)}, got {list(wanted.shape)}")
        if not (np.isfinite(wanted).all() and (wanted >= 0).all()):
            raise ParameterError("means must be finite numbers of zero or more units")
        new = (mean <= 0) & (wanted > 0)
        factor = np.divide(wanted, mean, out=np.ones_like(mean), where=mean > 0)
        if self.marginals is not None:
            variance = factor**2 * self.marginals.variance
            if self.marginals.is_count:
                variance = variance + np.where(factor < 1, factor * (1 - factor) * mean, 0.0)
            variance = np.where(new, wanted, variance).astype(self.marginals.variance.dtype)
            return replace(
                self,
                marginals=Marginals(wanted.astype(self.marginals.mean.dtype), variance, self.marginals.is_count),
            )
        drawn = self.paths * factor[:, None, :].astype(np.float32)
        if new.any():
            bodies = Marginals(np.where(new, wanted, 0.0), np.where(new, wanted, 0.0))
            fresh = draw_paths(bodies, Dependence(), self.ids.to_list(), self.n_paths, self.provenance.seed)
            drawn = np.where(new[:, None, :], fresh, drawn)
        return replace(self, drawn=drawn.astype(np.float32))

    def quantiles(self, levels: npt.ArrayLike = DEFAULT_LEVELS) -> Floats:
        """Return [N, H, Q] units: for each period by itself, the demand not exceeded with each probability.

        Parameters
        ----------
        levels
            [Q] probabilities above 0 and below 1.
        """
        if self.marginals is not None:
            quantiles = self.marginals.quantiles(levels)
            if self.shares is not None and (rows := np.unique(self.shares.nonzero()[0])).size:
                summed = self.select(rows).paths
                quantiles[rows] = np.moveaxis(
                    np.quantile(summed, check_levels(levels), axis=1, method="inverted_cdf"), 0, -1
                )
            return quantiles
        wanted = check_levels(levels)
        return np.moveaxis(np.quantile(self.paths, wanted, axis=1, method="inverted_cdf"), 0, -1)

    def total(self, periods: int | slice | None = None) -> Floats:
        """Return [N, S] units: demand of each path summed over periods.

        Parameters
        ----------
        periods
            The first so many periods, a slice of them, or None for all.

        Raises
        ------
        ParameterError
            More periods than were forecast.
        """
        if isinstance(periods, (int, np.integer)):
            if not 1 <= periods <= self.horizon:
                raise ParameterError(
                    f"total over {periods} periods needs 1 to {self.horizon}; forecast at least {periods} periods"
                )
            periods = slice(periods)
        summed: Floats = self.paths[:, :, periods or slice(None)].sum(axis=2)  # [N, S] units
        return summed

    def aggregate(self, by: Sequence[str] = ()) -> Forecast:
        """Return the forecast of sums of series, path by path, so that every level of a hierarchy adds up.

        Parameters
        ----------
        by
            Attributes of the series whose values name a group, such as ``("warehouse", "category")``; none for the
            whole. A series without a value for one of them is in the group of an empty one.

        Returns
        -------
        One series a group, in the order of their names, with drawn paths; ``unique_id`` joins the names with a slash
        and is ``total`` for the whole.

        Raises
        ------
        ParameterError
            ``by`` is no list, an attribute is not known, or the series are forecast from different periods on.

        >>> table = pl.DataFrame({"unique_id": ["a", "b", "c"], "store": ["x", "x", "y"]})
        >>> bodies = Marginals(np.full((3, 2), 4.0), np.full((3, 2), 9.0))
        >>> ahead = Forecast(
        ...     table, np.zeros(3, dtype=np.int64), Frequency.parse("1d"), Provenance("m", "1"), 50, bodies
        ... )
        >>> stores = ahead.aggregate(["store"])
        >>> stores.ids.to_list(), bool((stores.paths.sum(axis=0) == ahead.aggregate().paths[0]).all())
        (['x', 'y'], True)
        """
        if isinstance(by, str):
            raise ParameterError(f"by takes a list of attributes, got {by!r}; write [{by!r}]")
        lost = [name for name in by if name not in self.series.columns]
        if lost:
            raise ParameterError(
                f"{lost[0]!r} is no attribute of the series; attributes are {', '.join(self.series.columns)}"
            )
        if len(set(self.starts.tolist())) > 1:
            raise ParameterError(
                "series that are forecast from different periods on do not add up; select those with one start"
            )
        table = self.series.select(pl.col(list(by)).cast(pl.String).fill_null(""))
        if by:
            groups = table.unique(list(by)).sort(list(by))
            place = {row: i for i, row in enumerate(groups.iter_rows())}
            codes = np.array([place[row] for row in table.iter_rows()], dtype=np.int64)
            ids = groups.select(pl.concat_str(list(by), separator="/").alias("unique_id"))["unique_id"]
            if ids.n_unique() < groups.height:  # slashes within values made two groups alike
                doubled = [pl.col(name).str.replace_all("/", "//", literal=True) for name in by]
                ids = groups.select(pl.concat_str(doubled, separator="/").alias("unique_id"))["unique_id"]
            groups = groups.select(ids, *(pl.col(name) for name in by if name != "unique_id"))
        else:
            groups, codes = pl.DataFrame({"unique_id": ["total"]}), np.zeros(len(self), dtype=np.int64)
            groups = groups if len(self) else groups.clear()
        sums = np.zeros((groups.height, self.n_paths, self.horizon), dtype=np.float64)
        rows = max(1, _CELLS_AT_ONCE // (self.n_paths * self.horizon))
        for low in range(0, len(self), rows):
            part = self.select(np.arange(low, min(low + rows, len(self))))
            for code, paths in zip(codes[low : low + rows], part.paths, strict=True):  # far faster than np.add.at
                sums[code] += paths
        return Forecast(
            series=groups,
            starts=np.repeat(self.starts[:1], groups.height),
            freq=self.freq,
            provenance=self.provenance,
            n_paths=self.n_paths,
            drawn=sums.astype(np.float32),
        )

    def moments(self) -> Moments:
        """Return [N, H] labels of the forecast periods."""
        return self.freq.moments(self.starts[:, None] + np.arange(self.horizon))

    def select(self, positions: npt.ArrayLike) -> Forecast:
        """Return the forecasts of the series at ``positions`` (whole numbers or flags); their paths are the same."""
        chosen = np.asarray(positions)
        chosen = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen.astype(np.int64)
        marginals = self.marginals
        if marginals is not None:
            marginals = Marginals(marginals.mean[chosen], marginals.variance[chosen], marginals.is_count)
        return replace(
            self,
            series=rows_at(self.series, chosen),
            starts=self.starts[chosen],
            marginals=marginals,
            drawn=None if self.drawn is None else self.drawn[chosen],
            shares=None if self.shares is None else self.shares[chosen],
        )

    def chunks(self, n: int) -> Iterator[Forecast]:
        """Yield ``n`` forecasts of neighbouring series, each drawing only its own paths."""
        if n < 1:
            raise ParameterError(f"a forecast splits into at least 1 chunk, got {n}")
        bounds = np.linspace(0, len(self), min(n, max(1, len(self))) + 1).astype(np.int64)
        for low, high in zip(bounds[:-1], bounds[1:], strict=True):
            yield self.select(np.arange(low, high))

    def to_frame(self, levels: Sequence[float] = DEFAULT_LEVELS) -> pl.DataFrame:
        """Return one row per series and period: ``unique_id, ds, mean, q0.1, ...``."""
        flat = self.quantiles(levels).reshape(-1, len(levels))
        ds = pl.Series("ds", self.moments().reshape(-1))
        return pl.DataFrame(
            [
                pl.Series("unique_id", np.repeat(self.ids.to_numpy(), self.horizon), dtype=pl.String),
                ds.cast(pl.Date) if self.freq.is_daily_or_longer else ds,
                pl.Series("mean", self.mean().reshape(-1).astype(np.float64)),
                *(pl.Series(f"q{level:g}", flat[:, i].astype(np.float64)) for i, level in enumerate(levels)),
            ]
        )

    # ------------------------------------------------------------------ keeping

    def to_bytes(self) -> bytes:
        """Return the compact form as bytes (arrays and JSON, no code), from which the same paths are drawn again."""
        if self.marginals is not None:
            arrays = {
                "mean": np.asarray(self.marginals.mean),  # as they are: rounded ones would draw other paths
                "variance": np.asarray(self.marginals.variance),
            }
        else:
            assert self.drawn is not None  # noqa: S101 - see __post_init__
            arrays = {"drawn": np.asarray(self.drawn)}
        if self.parts is not None and self.shares is not None:
            arrays["parts"] = np.frombuffer(self.parts.to_bytes(), dtype=np.uint8)
            arrays["share_places"] = np.stack(self.shares.nonzero()).astype(np.int64)  # [2, entries]
            arrays["share_units"] = self.shares.data
        header = {
            "freq": [self.freq.count, self.freq.unit, self.freq.anchor],
            "provenance": {**asdict(self.provenance), "data_until": None},
            "data_until": None if self.provenance.data_until is None else self.provenance.data_until.isoformat(),
            "n_paths": self.n_paths,
            "dependence": asdict(self.dependence),
            "is_count": self.marginals.is_count if self.marginals is not None else None,
            "series": self.series.select(pl.all().cast(pl.String)).to_dict(as_series=False),
        }
        buffer = io.BytesIO()
        text = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
        np.savez_compressed(buffer, header=text, starts=self.starts, allow_pickle=False, **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, payload: bytes) -> Forecast:
        """Read what `to_bytes` wrote; attributes of the series come back as text.

        Raises
        ------
        DataError
            The bytes are no stored forecast.
        """
        try:
            with np.load(io.BytesIO(payload), allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            header = json.loads(arrays["header"].tobytes())
            until = header["data_until"]
            provenance = Provenance(
                **{
                    **header["provenance"],
                    "data_until": None if until is None else dt.datetime.fromisoformat(until),
                    "notes": tuple(header["provenance"]["notes"]),
                }
            )
            marginals = None
            if "mean" in arrays:
                marginals = Marginals(arrays["mean"], arrays["variance"], header["is_count"])
            return cls(
                series=pl.DataFrame(header["series"], schema_overrides={"unique_id": pl.String}),
                starts=arrays["starts"],
                freq=Frequency(*header["freq"]),
                provenance=provenance,
                n_paths=header["n_paths"],
                marginals=marginals,
                dependence=Dependence(**{**header["dependence"], "columns": tuple(header["dependence"]["columns"])}),
                drawn=arrays.get("drawn"),
                **cls._parts_of(arrays),
            )
        except _UNREADABLE as error:
            raise DataError(f"stored forecast cannot be read: {error}; publish the plan again") from error

    @classmethod
    def _parts_of(cls, arrays: dict[str, npt.NDArray[Any]]) -> dict[str, Any]:
        """Return the stored parts and shares; nothing where there are none."""
        if "parts" not in arrays:
            return {}
        parts = cls.from_bytes(arrays["parts"].tobytes())
        places = arrays["share_places"]
        shape = (len(arrays["starts"]), len(parts))
        shares = scipy.sparse.csr_array((arrays["share_units"], (places[0], places[1])), shape=shape)
        return {"parts": parts, "shares": shares}
