"""Puts rows of tables and JSON into a recording, and complains of those that cannot be measurements."""

from collections.abc import Callable

from powertune import text
from powertune.errors import BadInputError
from powertune.model.invocation import Aggregate
from powertune.sources.recorded_rows import InvalidRowError, Row, is_blank, read_row
from powertune.sources.recording import Origin, Recording

WITH_MESSAGE = "@message"
"""The column of a whole log event in results of Logs Insights."""


class RowIntake:
    """Takes rows one by one. What is wrong stops the run, or is counted where `skip_invalid` asks for that.

    `shown` names the file in complaints, `origin` is what is known of all rows that do not say better, `read_message`
    reads a row that has a log event in it and tells whether it was one.
    """

    def __init__(
        self,
        recording: Recording,
        shown: str,
        *,
        skip_invalid: bool,
        origin: Origin,
        read_message: Callable[[Row], bool],
    ) -> None:
        self._recording = recording
        self._shown = shown
        self._skip_invalid = skip_invalid
        self._origin = origin
        self._read_message = read_message

    def add(self, row: Row | InvalidRowError, number: int, *, unit: str = "line") -> None:
        """Add a row, or why it is none. Raises BadInputError.

        `number` is that of its line or row, or where that is not known how many bytes lie before it, below 0.
        """
        try:
            self._add(row)
        except InvalidRowError as error:
            self.complain(error, number, unit=unit)

    def _add(self, row: Row | InvalidRowError) -> None:
        if isinstance(row, InvalidRowError):
            raise row
        if WITH_MESSAGE in row and self._read_message(row):
            return
        if is_blank(row) and any(name.startswith("@") for name in row):  # an event of another kind
            return
        basis = str(row.get("basis") or "measured")
        if basis in ("interpolated", "extrapolated"):  # powertune's own CSV has such sizes; nothing ran there
            return
        origin, record, at_ms = read_row(row)
        origin = self._filled(origin)
        if basis == "scaled":
            hint = self._recording.hint(origin.function)
            hint.scaled, hint.calibrated = True, False
        if isinstance(record, Aggregate):
            self._recording.add_aggregate(origin, record)
        else:
            self._recording.add_run(origin, record, at_ms)

    def _filled(self, origin: Origin) -> Origin:
        """Return what a row says of its function, with what is known of all rows where it says nothing."""
        if self._origin == Origin():
            return origin
        return Origin(
            origin.function or self._origin.function,
            origin.architecture or self._origin.architecture,
            origin.region or self._origin.region,
            origin.runtime or self._origin.runtime,
        )

    def complain(self, error: InvalidRowError, number: int, *, unit: str = "line") -> None:
        """Complain of a row. Raises BadInputError unless such rows are left out."""
        place = f"{unit} {number}" if number > 0 else f"behind byte {-number:,}"
        problem = f"{self._shown}, {place}: {error}"
        if not self._skip_invalid:
            raise BadInputError(
                problem, hint="mend or remove that row, or leave such rows out with --skip-invalid"
            ) from None
        self._recording.add_complaint(problem)

    def refuse(self, what: str, *, hint: str) -> None:
        """Complain of a document as a whole. Raises BadInputError unless such are left out."""
        problem = f"{self._shown}: {what}" if what.startswith("the run file") else f"{self._shown} {what}"
        if not self._skip_invalid:
            raise BadInputError(text.printable(problem, limit=400), hint=hint)
        self._recording.add_complaint(problem)
