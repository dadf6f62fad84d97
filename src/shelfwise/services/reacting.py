"""What follows from fresh movements, soon after they are committed and off the way of whoever sent them.

Products that are felt while others are being brought up to date wait in one set: hundreds of sales of one product are
one reaction. A reaction to one product takes little less time than one to ten, so where one follows upon another, it
first waits as long as that one took, `LONGEST_REST_SECONDS` at most: a lone sale is answered at once, and many a second
leave time for the requests that this process answers meanwhile.

What a process has not reacted to when it ends, or cannot react to because no forecast was published yet, the event in
the outbox still tells of: the job behind it follows.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Final

from shelfwise.app import App
from shelfwise.services.live import live_shop

_log: Final = logging.getLogger(__name__)

LONGEST_REST_SECONDS: Final = 0.02


class Reacting:
    """The thread that reacts.

    Parameters
    ----------
    react
        Called with the codes of products that changed, each once, and with none at the start; returns whether forecast,
        risk and orders follow them now.
    prepare
        Called after each reaction and while nothing waits, for a short piece of work that later reactions need; returns
        whether there is more.
    """

    def __init__(self, react: Callable[[Sequence[str]], bool], prepare: Callable[[], bool] | None = None) -> None:
        self._react = react
        self._prepare = prepare
        self._more = prepare is not None
        self._waiting: dict[str, None] = {}
        self._next: Future[bool] = Future()
        self._changed = threading.Condition()
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="reacting", daemon=True)
        self._thread.start()

    @classmethod
    def to_movements(cls, app: App) -> Reacting:
        """Keep the live forecast of a shop, its orders and its risk beside the movements; never trains."""
        live = live_shop(app)
        return cls(lambda products: live.warm() and live.follow(products) is not None, live.look_ahead)

    def felt(self, products: Iterable[str]) -> Future[bool]:
        """Say that products changed; the future is done once that was reacted to, and says if they are followed."""
        with self._changed:
            self._waiting.update(dict.fromkeys(products))
            self._changed.notify()
            return self._next

    def close(self) -> None:
        """End after the reaction that is under way; what waits is left to the outbox."""
        with self._changed:
            self._ending = True
            self._changed.notify()
        self._thread.join()
        self._next.cancel()

    def _run(self) -> None:
        self._reacted((), Future())  # what it needs in memory is read before the first sale comes
        # It stays for the life of the process, as do the modules and routes: a collection that looks through all of it
        # again would hold up every request for some tenths of a second.
        gc.freeze()
        rest = 0.0
        while True:
            with self._changed:
                if rest and self._waiting and not self._more:
                    self._changed.wait_for(lambda: self._ending, rest)
                while not (self._waiting or self._ending or self._more):
                    self._changed.wait()
                if self._ending:
                    return
                products, done = list(self._waiting), self._next
                if products:
                    self._waiting, self._next = {}, Future()
            began = time.monotonic()
            if products:
                self._reacted(products, done)
                self._more = self._prepare is not None
            if self._more:
                self._more = self._prepared()
            rest = min(time.monotonic() - began, LONGEST_REST_SECONDS)

    def _prepared(self) -> bool:
        try:
            return self._prepare is not None and self._prepare()
        except Exception:  # it only saves time, and this thread must live for the reactions that follow
            _log.exception("what later reactions need could not be prepared; they will work it out themselves")
            return False

    def _reacted(self, products: Sequence[str], done: Future[bool]) -> None:
        try:
            done.set_result(self._react(products))
        except Exception as error:  # it is raised to whoever waits, and this thread must live for the others
            _log.exception("the reaction to %d products failed", len(products))
            done.set_exception(error)
