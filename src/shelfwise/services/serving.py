"""A running service: the open shop, the processes that make forecasts, and how well both are."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal

from shelfwise.app import App
from shelfwise.domain.errors import ShelfwiseError
from shelfwise.execution.local import Workers
from shelfwise.services import stateless

State = Literal["ready", "failed"]


@dataclass(frozen=True)
class Readiness:
    """How a service is.

    Parameters
    ----------
    database, model
        Whether the database answers, and whether a forecast can be made.
    reasons
        What is wrong; empty where nothing is.
    """

    database: State
    model: State
    reasons: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether everything is ready."""
        return self.database == self.model == "ready"


@dataclass(eq=False)
class Serving:
    """A shop that is being served; made by `start`."""

    shop: App
    workers: Workers = field(repr=False)

    @classmethod
    def start(cls, shop: App) -> Serving:
        """Start the worker processes; they load the models while the service already answers."""
        return cls(shop, Workers(shop.settings.inference_processes, modules=("shelfwise.services.stateless",)))

    def close(self) -> None:
        """End the workers; the shop stays open, it belongs to whoever opened it."""
        self.workers.close()

    def __enter__(self) -> Serving:
        """Return the service itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def predict(self, question: stateless.Question) -> stateless.Answer:
        """Answer a question under the time limit of the settings."""
        return stateless.predict(question, self.workers, self.shop.settings.inference_timeout_seconds)

    def readiness(self) -> Readiness:
        """Look at the database and the models, which takes milliseconds."""
        reasons: list[str] = []
        try:
            with self.shop.database.read():
                pass  # opening a read looks at the database
        except ShelfwiseError as error:
            reasons.append(str(error))
        database: State = "failed" if reasons else "ready"
        alive = self.workers.alive()
        if not alive:
            reasons.append("no process that makes forecasts is running; restart the service")
        return Readiness(database, "ready" if alive else "failed", tuple(reasons))
