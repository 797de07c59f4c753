"""Records in the logs: which one belongs to which run, and how long they are waited for."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from powertune.aws_lambda.report_record import ReportRecord, format_report
from powertune.errors import AwsError
from powertune.model.invocation import Invocation
from powertune.sources.aws import logs as module
from powertune.sources.aws.clients import Aws, DeniedError
from powertune.sources.aws.invoker import Answer
from powertune.sources.aws.logs import LoggedReport, LogReader, environments, match

NOW = 1_800_000_000.0


def answer(
    request_id: str | None = None,
    *,
    memory_mb: int = 512,
    version: str = "7",
    sent: float = 0.0,
    ended: float = 1.0,
    lost: bool = False,
) -> Answer:
    """Times are seconds from `NOW` on."""
    invocation = Invocation(memory_mb, 1000.0, request_id=request_id)
    return Answer(invocation, version, NOW + sent, NOW + ended, is_final=False, is_lost=lost)


def logged(request_id: str, *, memory_mb: int = 512, version: str = "7", at: float = 1.0) -> LoggedReport:
    record = ReportRecord(request_id, 19.53, 20, memory_mb, 60)
    return LoggedReport(record, f"2026/11/25/[{version}]5b1105a6", NOW + at)


def matched(answers: Sequence[Answer], reports: Sequence[LoggedReport], taken: Sequence[str] = ()) -> dict[int, str]:
    return {place: report.record.request_id for place, report in match(answers, reports, taken).items()}


# Which record is whose.


def test_a_record_belongs_to_the_answer_with_its_request_id_whenever_it_was_written() -> None:
    answers = [answer("a"), answer("b")]
    assert matched(answers, [logged("b", at=500), logged("x", at=1), logged("a", at=-500)]) == {0: "a", 1: "b"}


def test_a_record_of_another_size_is_not_taken_even_with_the_right_request_id() -> None:
    assert matched([answer("a")], [logged("a", memory_mb=128)]) == {}
    assert matched([answer("a")], [logged("a"), logged("a", memory_mb=128, at=2)]) == {0: "a"}


def test_without_a_request_id_the_record_has_to_fit_by_version_size_and_time() -> None:
    lost = answer(lost=True)
    assert matched([lost], [logged("x")]) == {0: "x"}
    assert matched([lost], [logged("x", version="8")]) == {}
    assert matched([lost], [logged("x", version="77")]) == {}
    assert matched([lost], [logged("x", memory_mb=128)]) == {}
    assert matched([lost], [logged("x", at=-6)]) == {}
    assert matched([lost], [logged("x", at=-4)]) == {0: "x"}, "clocks may differ a little"


def test_a_run_whose_answer_never_came_may_have_ended_long_after_its_connection() -> None:
    assert matched([answer(lost=True)], [logged("x", at=900)]) == {0: "x"}
    assert matched([answer()], [logged("x", at=900)]) == {}


def test_records_known_to_be_of_other_runs_are_not_given_away() -> None:
    assert matched([answer(lost=True)], [logged("x")], taken=["x"]) == {}
    assert matched([answer("a"), answer(lost=True)], [logged("a")]) == {0: "a"}


def test_the_request_id_of_an_answer_counts_even_where_it_is_known_already() -> None:
    assert matched([answer("a")], [logged("a")], taken=["a"]) == {0: "a"}


def test_records_without_an_own_answer_go_to_those_that_wait_in_the_order_of_time() -> None:
    answers = [answer(sent=10, ended=11, lost=True), answer(sent=0, ended=1, lost=True)]
    assert matched(answers, [logged("late", at=11), logged("early", at=1)]) == {0: "late", 1: "early"}


def test_a_record_that_was_delivered_twice_is_given_once() -> None:
    answers = [answer(lost=True), answer(lost=True)]
    assert matched(answers, [logged("x"), logged("x")]) == {0: "x"}


def test_two_answers_with_one_request_id_do_not_share_a_record() -> None:
    assert matched([answer("a"), answer("a")], [logged("a")]) == {0: "a"}


def test_a_stream_that_names_no_version_fits_by_size_and_time() -> None:
    report = LoggedReport(ReportRecord("x", 1, 1, 512, 60), "custom-stream", NOW)
    assert matched([answer(lost=True)], [report]) == {0: "x"}


def test_the_environment_of_a_run_is_its_log_stream() -> None:
    nameless = LoggedReport(ReportRecord("y", 1, 1, 512, 60), "", NOW)
    assert environments([logged("x"), nameless]) == {"x": "2026/11/25/[7]5b1105a6"}


# Reading.


class Clock:
    """Time that passes only while somebody sleeps."""

    now = NOW
    pauses: list[float]

    def __init__(self) -> None:
        self.pauses = []

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


class Logs:
    """A log group that answers with pages, or with what a function of the call's number returns."""

    def __init__(self, answers: Callable[[int], dict[str, Any]]) -> None:
        self._answers = answers
        self.requests: list[dict[str, Any]] = []
        self.logs = self

    def filter_log_events(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        return self._answers(len(self.requests))


def reader(logs: Logs, **options: Any) -> LogReader:
    return LogReader(cast("Aws", logs), "/aws/lambda/orders", **options)


def event(message: str, at: float = 1.0, stream: str = "2026/11/25/[7]5b1105a6") -> dict[str, Any]:
    return {"logStreamName": stream, "timestamp": int((NOW + at) * 1000), "message": message}


LINE = format_report(ReportRecord("a", 19.53, 20, 512, 60))


def error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "AWS says so"}}, "FilterLogEvents")


def test_all_pages_are_read_even_those_that_are_empty() -> None:
    pages: list[dict[str, Any]] = [
        {"events": [event(f"{LINE}\n")], "nextToken": "1"},
        {"events": [], "nextToken": "2"},
        {"nextToken": "3"},
        {"events": [event(f"{LINE.replace(': a', ': b')}\nXRAY TraceId: 1\n", 2.5)]},
    ]
    logs = Logs(lambda number: pages[number - 1])
    found = reader(logs).reports(NOW, NOW + 10)
    assert [(report.record.request_id, report.at - NOW) for report in found] == [("a", 1.0), ("b", 2.5)]
    assert [request.get("nextToken") for request in logs.requests] == [None, "1", "2", "3"]
    assert logs.requests[0]["startTime"] == (NOW - 5) * 1000
    assert logs.requests[0]["endTime"] == (NOW + 15) * 1000


def test_reading_ends_after_the_most_pages() -> None:
    logs = Logs(lambda number: {"events": [event(LINE)], "nextToken": str(number)})
    assert len(reader(logs).reports(NOW, NOW, most_pages=3)) == 3


def test_each_log_format_has_a_pattern_of_its_own() -> None:
    logs = Logs(lambda _: {"events": []})
    reader(logs).reports(NOW, NOW)
    reader(logs, is_json=True).reports(NOW, NOW)
    assert [request["filterPattern"] for request in logs.requests] == [
        '"REPORT RequestId"',
        '{ $.type = "platform.report" }',
    ]


def test_damaged_records_are_left_out() -> None:
    logs = Logs(lambda _: {"events": [event("REPORT RequestId: x\tDuration: 1.0"), event("words"), event(LINE)]})
    assert [report.record.request_id for report in reader(logs).reports(NOW, NOW)] == ["a"]


def find(logs: Logs, answers: Sequence[Answer], *, is_stopped: bool = False, **options: Any) -> dict[int, LoggedReport]:
    return reader(logs, **options).find(
        answers, taken=(), patience_s=60, lost_patience_s=20, is_stopped=lambda: is_stopped
    )


def test_a_record_that_arrives_late_is_waited_for(clock: Clock) -> None:
    logs = Logs(lambda number: {"events": [event(LINE)] if number == 4 else []})
    assert set(find(logs, [answer("a")])) == {0}
    assert clock.pauses == pytest.approx([0.5, 0.75, 1.125])


def test_patience_ends_sooner_for_runs_of_which_nobody_knows_whether_they_took_place(clock: Clock) -> None:
    nothing = Logs(lambda _: {"events": []})
    assert find(nothing, [answer("a")]) == {}
    assert 60 < clock.now - NOW <= 60 + 4
    began = clock.now
    assert find(nothing, [answer(lost=True)]) == {}
    assert 20 < clock.now - began <= 20 + 4
    began = clock.now
    find(Logs(lambda _: {"events": [event(LINE)]}), [answer("a"), answer(lost=True, sent=clock.now - NOW)])
    assert 20 < clock.now - began <= 20 + 4
    assert max(clock.pauses) == 4.0


def test_patience_shrinks_with_time(clock: Clock) -> None:
    find(Logs(lambda _: {"events": []}), [answer("a")], time_scale=0.01)
    assert 0.6 < clock.now - NOW <= 0.64


def test_a_run_that_is_being_stopped_waits_for_nothing(clock: Clock) -> None:
    logs = Logs(lambda _: {"events": []})
    assert find(logs, [answer("a")], is_stopped=True) == {}
    assert len(logs.requests) == 1
    assert not clock.pauses


def test_a_log_group_that_is_not_there_yet_is_waited_for() -> None:
    def late(number: int) -> dict[str, Any]:
        if number < 3:
            raise error("ResourceNotFoundException")
        return {"events": [event(LINE)]}

    assert set(find(Logs(late), [answer("a")])) == {0}


@pytest.mark.parametrize(
    ("code", "kind"), [("AccessDeniedException", DeniedError), ("ServiceUnavailableException", AwsError)]
)
def test_logs_that_cannot_be_read_are_told(code: str, kind: type[AwsError]) -> None:
    def refused(_: int) -> dict[str, Any]:
        raise error(code)

    with pytest.raises(kind, match="reading the function's logs") as caught:
        find(Logs(refused), [answer("a")])
    assert caught.value.hint
