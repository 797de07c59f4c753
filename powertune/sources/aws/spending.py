"""What the run may cost, and has cost: a limit that holds even if every run takes its whole timeout."""

import threading

from powertune.aws_lambda.pricing import Rates, billed_duration_ms
from powertune.model.invocation import Invocation

_INIT_MS = 10_000
"""Longest init phase, which is billed, too (AWS Lambda developer guide, 2026)."""


def longest_ms(timeout_s: float) -> float:
    """Return the most that one run can be billed for, in ms: init and handler each as long as Lambda lets them be."""
    return timeout_s * 1000 + _INIT_MS


def most_per_run(rates: Rates, memory_mb: int, timeout_s: float) -> float:
    """Return the most that one run can cost."""
    return float(rates.bill(memory_mb, longest_ms(timeout_s)))


class Spending:
    """Money by the run, shared between threads. `limit` is in the currency of `rates`; None for no limit."""

    def __init__(self, rates: Rates, *, timeout_s: float, limit: float | None = None) -> None:
        self._rates = rates
        self._timeout_s = timeout_s
        self.limit = limit
        self._spent = self._reserved = 0.0
        self._feared = 0.0
        """What runs whose answers got lost may cost beyond what is counted: nobody knows how long they took."""
        self.under_way = 0
        """Runs for which money is set aside."""
        self._condition = threading.Condition()
        self.is_exhausted = False
        """Whether a run was left out because of the limit."""

    @property
    def spent(self) -> float:
        """What the runs so far have cost."""
        return self._spent

    def reserve(self, memory_mb: int) -> float | None:
        """Set aside the most that a run can cost, and return it; None where the limit does not allow it any more.

        Waits while runs are under way that may turn out to have cost less than was set aside for them.
        """
        most = most_per_run(self._rates, memory_mb, self._timeout_s)
        with self._condition:
            if self.limit is not None:
                while self._spent + self._feared + self._reserved + most > self.limit and self._reserved > 0:
                    self._condition.wait()
                if self._spent + self._feared + most > self.limit:
                    self.is_exhausted = True
                    return None
            self._reserved += most
            self.under_way += 1
            return most

    def settle(self, reserved: float, invocation: Invocation, *, is_lost: bool = False) -> float:
        """Replace what was set aside for a run by what it cost, and return that.

        `is_lost` says that this is no more than what it has cost until the connection broke.
        """
        cost = self.cost_of(invocation)
        with self._condition:
            self._spent += cost
            self._feared += reserved - cost if is_lost else 0.0
            self._give_back(reserved)
        return cost

    def release(self, reserved: float) -> None:
        """Give back what was set aside for a run that was not made."""
        with self._condition:
            self._give_back(reserved)

    def _give_back(self, reserved: float) -> None:
        self.under_way -= 1
        # Down to nothing with the last one, and not to what adding and subtracting floats leaves of it.
        self._reserved = self._reserved - reserved if self.under_way else 0.0
        self._condition.notify_all()

    def correct(self, before: Invocation, after: Invocation, *, was_lost: bool = False) -> float:
        """Replace the assumed cost of a run by what the logs say, and return the difference.

        `was_lost` says that its answer got lost, and that nothing more is to be feared of it.
        """
        difference = self.cost_of(after) - self.cost_of(before)
        most = most_per_run(self._rates, before.memory_mb, self._timeout_s)
        with self._condition:
            self._spent += difference
            self._feared -= most - self.cost_of(before) if was_lost else 0.0
            self._condition.notify_all()
        return difference

    def cost_of(self, invocation: Invocation) -> float:
        """Return what a run cost: its billed duration, or what its duration comes to where no bill is known."""
        billed_ms = invocation.billed_ms
        if billed_ms == 0:  # never run
            return 0.0
        if billed_ms is None:
            billed_ms = billed_duration_ms(invocation.duration_ms, invocation.init_ms or 0.0)
        return float(self._rates.bill(invocation.memory_mb, billed_ms))
