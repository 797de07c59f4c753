"""All that is ever changed on a function, and putting it back: against a Lambda in memory that others use, too."""

import copy
import shlex
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import jmespath  # type: ignore[import-untyped] # its stubs are not worth a dependency for one call
import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError

from powertune.errors import AwsError, PowertuneError
from powertune.sources.aws import changes as module
from powertune.sources.aws.changes import (
    Changes,
    DeployedMeanwhileError,
    Marked,
    SizeRefusedError,
    fingerprint,
    marked_versions,
    memory_command,
)
from powertune.sources.aws.clients import CredentialsError, DeniedError
from powertune.sources.aws.target import DEPLOYED_FIELDS

if TYPE_CHECKING:
    from powertune.sources.aws.clients import Aws

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:orders"
RUN = "0a1b2c3d4e5f"
SECRET = "hunter2"  # noqa: S105 - stands for what must not be repeated
SIZES = (128, 512, 1024)


def error(code: str, message: str = "AWS says so") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


THROTTLED = error("TooManyRequestsException")
BUSY = error("ResourceConflictException", "The operation cannot be performed at this time. An update is in progress")
OVERTAKEN = error("PreconditionFailedException", "The Revision Id provided does not match the latest Revision Id")
DENIED = error("AccessDeniedException", "not authorized to perform it")


class Lambda:
    """One function in memory, as AWS keeps it: revisions, updates that take a while, versions, faults and others."""

    def __init__(self) -> None:
        self.latest: dict[str, Any] = {
            "FunctionName": "orders",
            "FunctionArn": ARN,
            "MemorySize": 512,
            "Description": "takes orders",
            "CodeSha256": "one",
            "Timeout": 3,
            "Role": "role",
            "Environment": {"Variables": {"TOKEN": SECRET}},
            "RevisionId": "revision-0",
            "LastUpdateStatus": "Successful",
        }
        self.versions: dict[str, dict[str, Any]] = {}
        self.aliases: dict[str, str] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.faults: dict[str, list[Exception]] = defaultdict(list)
        """By operation: raised by its next calls, which do nothing."""
        self.meanwhile: dict[str, list[Callable[[], None]]] = defaultdict(list)
        """By operation: what somebody else does right before its next calls."""
        self.reads_until_updated = 0
        self.most_memory_mb = 10_240
        self.is_pending_version = False
        self._reads_left = 0
        self._revision = 0
        self._numbered = 0

    # As seen by powertune

    def get_function_configuration(self, **request: Any) -> dict[str, Any]:
        self._came("get_function_configuration", request)
        if self._reads_left:
            self._reads_left -= 1
        else:
            self.latest["LastUpdateStatus"] = self.latest.pop("next", self.latest["LastUpdateStatus"])
        return {key: copy.deepcopy(value) for key, value in self.latest.items() if key != "next"}

    def update_function_configuration(self, **request: Any) -> dict[str, Any]:
        self._came("update_function_configuration", request)
        assert set(request) == {"FunctionName", "RevisionId", "MemorySize"}, "nothing else is ever changed"
        if request["RevisionId"] != self.latest["RevisionId"]:
            raise OVERTAKEN
        if request["MemorySize"] > self.most_memory_mb:
            raise error(
                "ValidationException",
                f"1 validation error detected: Value '{request['MemorySize']}' at 'memorySize' failed to satisfy"
                f" constraint: Member must have value less than or equal to {self.most_memory_mb}",
            )
        self.deploy(MemorySize=request["MemorySize"])
        if self.reads_until_updated:
            self._reads_left = self.reads_until_updated
            self.latest |= {"LastUpdateStatus": "InProgress", "next": "Successful"}
        return {}

    def publish_version(self, **request: Any) -> dict[str, Any]:
        self._came("publish_version", request)
        if request["RevisionId"] != self.latest["RevisionId"]:
            raise OVERTAKEN
        assert request["CodeSha256"] == self.latest["CodeSha256"]
        newest = next(reversed(self.versions.values()), None)
        mine = {"Description", "Version", "State"}
        content = {key: value for key, value in self.latest.items() if key not in mine}
        if newest is None or {key: value for key, value in newest.items() if key not in mine} != content:
            self._numbered += 1
            newest = copy.deepcopy(content) | {
                "Version": str(self._numbered),
                "Description": request["Description"],
                "State": "Pending" if self.is_pending_version else "Active",
            }
            self.versions[newest["Version"]] = newest
        return copy.deepcopy(newest)

    def delete_function(self, **request: Any) -> None:
        self._came("delete_function", request)
        number = request.get("Qualifier")
        assert number, "without a qualifier this deletes the whole function"
        if number not in self.versions:
            raise error("ResourceNotFoundException")
        if number in self.aliases.values():
            raise error(
                "ResourceConflictException", "Unable to delete version because the following aliases reference it: [a]"
            )
        del self.versions[number]

    def get_paginator(self, operation: str) -> "Lambda":
        assert operation == "list_versions_by_function"
        return self

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        self._came("list_versions_by_function", request)
        for version in [{**self.latest, "Version": "$LATEST"}, *self.versions.values()]:
            yield {"Versions": [copy.deepcopy(version)]}
            yield {"Versions": []}

    def _came(self, operation: str, request: dict[str, Any]) -> None:
        assert request["FunctionName"] == ARN
        self.calls.append((operation, request))
        if self.meanwhile[operation]:
            self.meanwhile[operation].pop(0)()
        if self.faults[operation]:
            raise self.faults[operation].pop(0)

    # As used by others

    def deploy(self, **changes: Any) -> None:
        self._revision += 1
        self.latest |= {**changes, "RevisionId": f"revision-{self._revision}"}

    def publish(self, description: str = "") -> str:
        self._numbered += 1
        self.versions[str(self._numbered)] = {
            **self.latest,
            "Version": str(self._numbered),
            "Description": description,
        }
        return str(self._numbered)

    @property
    def operations(self) -> list[str]:
        return [operation for operation, _ in self.calls]

    @property
    def has_changed(self) -> bool:
        return not {"update_function_configuration", "publish_version", "delete_function"}.isdisjoint(self.operations)


@pytest.fixture
def function() -> Lambda:
    return Lambda()


def aws(function: Lambda) -> "Aws":
    return cast("Aws", SimpleNamespace(control=function, profile=None))


def tuning(function: Lambda, **options: Any) -> Changes:
    """Return the changes of a run that has just read the function."""
    settings = {
        "original": copy.deepcopy(function.latest), "is_back": True, "aws": aws(function), "sizes_mb": SIZES, **options,
    }  # fmt: skip
    return Changes(settings.pop("aws"), ARN, run_id=RUN, memory_mb=512, poll_s=0.0, **cast("Any", settings))


def restoring(function: Lambda, deployed: Mapping[str, str] | None = None) -> Changes:
    """Return the changes of an interrupted run, as its journal tells them."""
    return tuning(function, original=None, is_back=False, deployed=deployed)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=slept.append))
    return slept


# Setting memory.


def test_memory_is_set_and_waited_for(function: Lambda) -> None:
    function.reads_until_updated = 3
    tuning(function).set_memory(1024)
    assert function.latest["MemorySize"] == 1024
    assert function.latest["LastUpdateStatus"] == "Successful"
    assert function.operations.count("update_function_configuration") == 1
    assert function.operations[-1] == "get_function_configuration"


def test_memory_that_is_there_already_is_not_set(function: Lambda) -> None:
    tuning(function).set_memory(512)
    assert function.operations == ["get_function_configuration"]


@pytest.mark.parametrize("faults", [[BUSY], [OVERTAKEN], [BUSY, OVERTAKEN, BUSY, BUSY, OVERTAKEN]])
def test_memory_is_set_in_spite_of_updates_that_change_nothing(
    faults: list[Exception], function: Lambda, pauses: list[float]
) -> None:
    function.faults["update_function_configuration"] = list(faults)
    tuning(function).set_memory(1024)
    assert function.latest["MemorySize"] == 1024
    assert len(pauses) == len(faults)


def test_a_revision_that_moves_on_by_itself_is_read_again(function: Lambda) -> None:
    function.meanwhile["update_function_configuration"] = [function.deploy, function.deploy]
    tuning(function).set_memory(1024)
    assert function.latest["MemorySize"] == 1024


def test_pauses_between_tries_grow_to_a_limit(function: Lambda, pauses: list[float]) -> None:
    function.faults["update_function_configuration"] = [BUSY] * 99
    changes = Changes(aws(function), ARN, run_id=RUN, memory_mb=512, sizes_mb=SIZES, poll_s=0.25)
    with pytest.raises(AwsError, match="again and again"):
        changes.set_memory(1024)
    assert pauses == [2.0, 4.0, 8.0, 8.0, 8.0, 8.0]


def test_a_function_that_is_never_at_rest_is_given_up(function: Lambda) -> None:
    function.faults["update_function_configuration"] = [BUSY] * 99
    with pytest.raises(AwsError, match="being changed again and again") as caught:
        tuning(function).set_memory(1024)
    assert caught.value.hint
    assert function.operations.count("update_function_configuration") == 8


def test_a_size_beyond_the_accounts_limit_is_refused_and_others_go_on(function: Lambda) -> None:
    function.most_memory_mb = 3008
    changes = tuning(function)
    with pytest.raises(SizeRefusedError, match="at most 3,008 MB") as caught:
        changes.set_memory(10_240)
    assert "--memory" in caught.value.hint
    changes.set_memory(1024)
    assert function.latest["MemorySize"] == 1024


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (error("ValidationException", "Timeout must be less than or equal to 900"), AwsError),
        (error("InvalidParameterValueException", "the role cannot be assumed"), AwsError),
        (DENIED, DeniedError),
        (error("ExpiredTokenException"), CredentialsError),
        (EndpointConnectionError(endpoint_url="https://lambda"), AwsError),
    ],
)
def test_other_errors_stop_the_run_and_are_explained(
    fault: Exception, kind: type[PowertuneError], function: Lambda
) -> None:
    function.faults["update_function_configuration"] = [fault]
    with pytest.raises(kind, match="changing the function's memory") as caught:
        tuning(function).set_memory(1024)
    assert caught.value.hint
    assert not isinstance(caught.value, SizeRefusedError)


def test_an_update_that_aws_cannot_make_stops_the_run(function: Lambda) -> None:
    changes = tuning(function)
    function.deploy(LastUpdateStatus="Failed", LastUpdateStatusReason="no ENI left")
    with pytest.raises(AwsError, match="could not update the function: no ENI left") as caught:
        changes.set_memory(1024)
    assert caught.value.hint


# Changes of others.


def other(value: object) -> object:
    """Return a field as a deploy may leave it."""
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, int):
        return value + 1
    return {"Variables": {"TOKEN": SECRET, "MORE": "1"}} if isinstance(value, dict) else {"new": "value"}


@pytest.mark.parametrize("name", DEPLOYED_FIELDS)
def test_nothing_is_changed_over_a_deploy_by_somebody_else(name: str, function: Lambda) -> None:
    changes = tuning(function)
    function.deploy(**{name: other(function.latest.get(name))})
    for step in (lambda: changes.set_memory(1024), changes.publish):
        with pytest.raises(DeployedMeanwhileError, match=name) as caught:
            step()
        assert "--memory-size 512" in caught.value.hint
        assert SECRET not in caught.value.message + caught.value.hint
    assert not function.has_changed


@pytest.mark.parametrize("operation", ["update_function_configuration", "publish_version"])
def test_a_deploy_between_looking_and_changing_is_noticed(operation: str, function: Lambda) -> None:
    changes = tuning(function)
    steps: dict[str, Callable[[], object]] = {
        "update_function_configuration": lambda: changes.set_memory(1024),
        "publish_version": changes.publish,
    }
    function.meanwhile[operation] = [lambda: function.deploy(CodeSha256="two")]
    with pytest.raises(DeployedMeanwhileError, match="CodeSha256"):
        steps[operation]()
    assert function.latest["MemorySize"] == 512
    assert not function.versions


@pytest.mark.parametrize("memory_mb", [2048, 1024])
def test_memory_that_somebody_else_has_set_is_noticed(memory_mb: int, function: Lambda) -> None:
    changes = tuning(function)
    changes.set_memory(128)
    function.deploy(MemorySize=memory_mb)
    with pytest.raises(DeployedMeanwhileError, match=f"its memory.*has {memory_mb} MB now and had 512 MB before"):
        changes.set_memory(512)
    assert function.latest["MemorySize"] == memory_mb


def test_a_deploy_that_puts_everything_as_it_was_is_none(function: Lambda) -> None:
    changes = tuning(function)
    function.deploy(Timeout=9)
    function.deploy(Timeout=3, LastModified="later", RuntimeVersionConfig={"RuntimeVersionArn": "new"})
    changes.set_memory(1024)
    assert function.latest["MemorySize"] == 1024


# Publishing.


def test_a_size_is_published_with_a_mark_that_tells_what_to_put_back(function: Lambda) -> None:
    changes = tuning(function)
    changes.set_memory(1024)
    version = changes.publish()
    assert (version.number, version.memory_mb, version.is_ours, version.is_active) == ("1", 1024, True, True)
    assert marked_versions(aws(function), ARN)[0] == Marked("1", RUN, 1024, 512, (128, 512))
    assert "powertune restore" in function.versions["1"]["Description"]
    assert function.latest["Description"] == "takes orders"
    assert function.operations[-2] == "publish_version", "what was just read is not read again"


def test_a_mark_fits_into_a_description_whatever_sizes_are_to_come(function: Lambda) -> None:
    changes = tuning(function)
    changes.publish(then_mb=range(10_000, 10_200))
    (version,) = function.versions.values()
    assert len(version["Description"]) <= 256
    (marked,) = marked_versions(aws(function), ARN)
    assert marked.next_mb[:2] == (10_000, 10_001)
    assert (marked.memory_mb, marked.was_mb) == (512, 512)


def test_marks_name_in_turn_all_sizes_that_a_run_may_set(function: Lambda) -> None:
    changes = tuning(function, sizes_mb=range(512, 10_240, 256))
    named: set[int] = set()
    for memory_mb in (512, 1024, 10_112):
        changes.set_memory(memory_mb)
        changes.publish()
    for marked in marked_versions(aws(function), ARN):
        assert not named & {*marked.next_mb}, "none twice, as there is little room"
        named |= {*marked.next_mb}
    assert named >= {*range(768, 10_240, 256)} - {1024}


def test_a_size_that_no_mark_names_is_announced_before_the_memory_is_changed(function: Lambda) -> None:
    changes = tuning(function, sizes_mb=range(512, 10_240, 64))
    changes.announce([10_176])
    assert not function.versions, "the first version names the sizes of its batch"
    changes.publish([576, 640])
    changes.set_memory(576)
    changes.publish([640])
    changes.put_back()
    changes.announce([640])
    assert len(function.versions) == 2
    changes.announce([10_176, 10_112])
    (announced,) = (found for found in marked_versions(aws(function), ARN) if found.number == "3")
    assert (announced.memory_mb, announced.next_mb[:2]) == (512, (10_176, 10_112))
    changes.announce([10_112])
    assert len(function.versions) == 3


def test_an_older_version_of_the_same_content_is_not_ours(function: Lambda) -> None:
    changes = tuning(function)
    for description in ("release 1", "powertune run ffffffffffff.1: 512 MB, was 512 MB; x", ""):
        number = function.publish(description)
        version = changes.publish()
        assert (version.number, version.is_ours) == (number, False)


def test_a_version_that_is_being_set_up_is_not_active_yet(function: Lambda) -> None:
    function.is_pending_version = True
    assert not tuning(function).publish().is_active


@pytest.mark.parametrize("fault", [BUSY, OVERTAKEN])
def test_publishing_waits_for_updates_that_change_nothing(fault: Exception, function: Lambda) -> None:
    function.faults["publish_version"] = [fault, fault, fault]
    assert tuning(function).publish().is_ours
    function.faults["publish_version"] = [fault] * 99
    with pytest.raises(AwsError, match="again and again"):
        tuning(function).publish()


# Putting back.


def test_a_run_leaves_the_function_as_it_was(function: Lambda) -> None:
    before = copy.deepcopy(function.latest)
    changes = tuning(function)
    for memory_mb in SIZES:
        changes.set_memory(memory_mb)
        changes.publish()
    assert changes.put_back() is True
    assert changes.delete_versions() == ["1", "2", "3"]
    function.latest["RevisionId"] = before["RevisionId"]
    assert function.latest == before
    assert not function.versions


def test_what_was_never_changed_is_not_even_looked_at(function: Lambda) -> None:
    changes = tuning(function)
    assert changes.put_back() is False
    assert not function.calls


def test_once_it_is_back_its_memory_is_left_to_others(function: Lambda) -> None:
    changes = tuning(function)
    changes.set_memory(1024)
    assert changes.put_back() is True
    function.deploy(MemorySize=2048, CodeSha256="two")
    assert changes.put_back() is False
    assert function.latest["MemorySize"] == 2048


def test_an_interrupted_run_is_put_back_from_its_journal(function: Lambda) -> None:
    deployed = fingerprint(function.latest)
    function.deploy(MemorySize=1024)
    assert restoring(function, deployed).put_back() is True
    assert function.latest["MemorySize"] == 512
    assert restoring(function, deployed).put_back() is False


@pytest.mark.parametrize("name", DEPLOYED_FIELDS)
def test_nothing_is_put_back_over_a_deploy(name: str, function: Lambda) -> None:
    deployed = fingerprint(function.latest)
    function.deploy(MemorySize=1024, **{name: other(function.latest.get(name))})
    with pytest.raises(DeployedMeanwhileError, match=name) as caught:
        restoring(function, deployed).put_back()
    assert caught.value.memory_is_ours, "1024 MB is what the run had set, and may be wrong"
    assert not function.has_changed


def test_a_deploy_that_chose_the_memory_leaves_nothing_to_put_back(function: Lambda) -> None:
    deployed = fingerprint(function.latest)
    function.deploy(MemorySize=2048)
    with pytest.raises(DeployedMeanwhileError) as caught:
        restoring(function, deployed).put_back()
    assert not caught.value.memory_is_ours
    function.deploy(MemorySize=512, CodeSha256="two")
    assert restoring(function, deployed).put_back() is False


@pytest.mark.parametrize(
    "fault", [THROTTLED, ConnectionClosedError(endpoint_url="https://lambda"), error("ServiceException"), BUSY]
)
def test_putting_back_is_tried_again_after_what_may_pass(fault: Exception, function: Lambda) -> None:
    function.deploy(MemorySize=1024)
    function.faults["get_function_configuration"] = [] if fault is BUSY else [fault]
    function.faults["update_function_configuration"] = [fault, fault]
    assert restoring(function).put_back() is True
    assert function.latest["MemorySize"] == 512


def test_putting_back_ends_with_the_error_that_does_not_pass(function: Lambda) -> None:
    function.deploy(MemorySize=1024)
    function.faults["update_function_configuration"] = [THROTTLED] * 99
    with pytest.raises(AwsError, match="throttled"):
        restoring(function).put_back()
    assert function.operations.count("update_function_configuration") == 6


def test_what_is_not_allowed_is_not_tried_for_long(function: Lambda) -> None:
    function.deploy(MemorySize=1024)
    function.faults["update_function_configuration"] = [DENIED] * 99
    with pytest.raises(DeniedError) as caught:
        restoring(function).put_back()
    assert caught.value.hint
    assert function.operations.count("update_function_configuration") <= 2


def test_expired_credentials_are_read_anew_for_putting_back(function: Lambda) -> None:
    function.deploy(MemorySize=1024)
    expired = Lambda()
    expired.faults["get_function_configuration"] = [error("ExpiredTokenException")] * 99
    old = SimpleNamespace(control=expired, profile=None, renewed=lambda: aws(function))
    assert tuning(function, aws=old, original=None, is_back=False).put_back() is True
    assert function.latest["MemorySize"] == 512
    assert len(expired.calls) == 1


# Deleting versions.


def publish_some(function: Lambda) -> Changes:
    changes = tuning(function)
    function.publish("release 1")
    for memory_mb in (128, 1024):
        changes.set_memory(memory_mb)
        changes.publish()
    function.publish("powertune run ffffffffffff.1: 512 MB, was 512 MB; powertune restore removes it")
    function.publish(f"about powertune run {RUN}.1: 512 MB, was 512 MB; ")
    function.deploy(Description=f"powertune run {RUN}.9: 512 MB, was 512 MB; ")
    return changes


def test_only_versions_of_this_run_are_deleted(function: Lambda) -> None:
    changes = publish_some(function)
    assert changes.delete_versions() == ["2", "3"]
    assert sorted(function.versions) == ["1", "4", "5"]
    assert changes.delete_versions() == []


def test_each_deletion_names_a_version(function: Lambda) -> None:
    publish_some(function).delete_versions()
    deletions = [request for operation, request in function.calls if operation == "delete_function"]
    assert sorted(request["Qualifier"] for request in deletions) == ["2", "3"]


@pytest.mark.parametrize("number", ["live", "", "-1", "1 2", "$LATEST", "\u00b2"])
def test_what_is_no_number_is_never_deleted(number: str, function: Lambda) -> None:
    function.versions["1"] = {
        **function.latest,
        "Version": number,
        "Description": f"powertune run {RUN}.1: 512 MB, was 512 MB; ",
    }
    changes = tuning(function)
    if number == "$LATEST":
        assert changes.delete_versions() == []
    else:
        with pytest.raises(AssertionError, match="is no version"):
            changes.delete_versions()
    assert "delete_function" not in function.operations


def test_a_version_that_is_gone_already_is_fine(function: Lambda) -> None:
    changes = publish_some(function)
    function.faults["delete_function"] = [error("ResourceNotFoundException")]
    assert changes.delete_versions() == ["2", "3"]


def test_a_version_that_an_alias_holds_is_told_and_the_others_are_deleted(function: Lambda) -> None:
    changes = publish_some(function)
    function.aliases["canary"] = "3"
    with pytest.raises(AwsError, match="does not let go of version 3: an alias") as caught:
        changes.delete_versions()
    assert "powertune restore" in caught.value.hint
    assert sorted(function.versions) == ["1", "3", "4", "5"]
    del function.aliases["canary"]
    assert changes.delete_versions() == ["3"]


def test_a_version_that_is_still_being_set_up_is_deleted_when_it_is_there(function: Lambda) -> None:
    changes = publish_some(function)
    pending = error(
        "ResourceConflictException",
        "The operation cannot be performed at this time. The function is currently in the following state: Pending",
    )
    function.faults["delete_function"] = [pending, pending, pending]
    changes.delete_versions()
    assert sorted(function.versions) == ["1", "4", "5"]


@pytest.mark.parametrize("fault", [THROTTLED, ConnectionClosedError(endpoint_url="https://lambda")])
def test_deleting_is_tried_again_after_what_may_pass(fault: Exception, function: Lambda) -> None:
    changes = publish_some(function)
    function.faults["delete_function"] = [fault, fault]
    function.faults["list_versions_by_function"] = [fault]
    changes.delete_versions()
    assert sorted(function.versions) == ["1", "4", "5"]


def test_a_version_that_stays_in_spite_of_all_is_told(function: Lambda, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = publish_some(function)
    monkeypatch.setattr(function, "delete_function", lambda **_: None)
    with pytest.raises(AwsError, match="version 2 of the function is still there") as caught:
        changes.delete_versions()
    assert "powertune restore" in caught.value.hint


def test_marks_are_found_on_all_pages_and_only_where_they_begin_a_description(function: Lambda) -> None:
    publish_some(function)
    found = [(marked.number, marked.run_id, marked.memory_mb) for marked in marked_versions(aws(function), ARN)]
    assert found == [("2", RUN, 128), ("3", RUN, 1024), ("4", "ffffffffffff", 512)]


# Fingerprints.


def test_a_fingerprint_holds_no_value_of_the_environment_nor_any_other_text(function: Lambda) -> None:
    kept = fingerprint(function.latest)
    assert set(kept) == set(DEPLOYED_FIELDS)
    for value in kept.values():
        assert len(value) == 12
        assert int(value, 16) >= 0
    guessed = copy.deepcopy(function.latest)
    guessed["Environment"] = {"Variables": {"TOKEN": "another"}}
    assert fingerprint(guessed) == kept, "a value could be guessed by its hash"


@pytest.mark.parametrize("name", DEPLOYED_FIELDS)
def test_a_fingerprint_notices_every_change_of_a_deploy(name: str, function: Lambda) -> None:
    before = fingerprint(function.latest)
    function.deploy(**{name: other(function.latest.get(name))})
    after = fingerprint(function.latest)
    assert [field for field in DEPLOYED_FIELDS if before[field] != after[field]] == [name]


def test_a_fingerprint_takes_empty_for_absent_and_keys_in_any_order() -> None:
    one = {"Environment": {"Variables": {"A": "1", "B": "2"}}, "LoggingConfig": {"LogFormat": "Text", "LogGroup": "g"}}
    other_order = {
        "Environment": {"Variables": {"B": "2", "A": "1"}},
        "LoggingConfig": {"LogGroup": "g", "LogFormat": "Text"},
        "Layers": [],
        "VpcConfig": {"SubnetIds": [], "VpcId": ""},
    }
    assert fingerprint(one) == fingerprint(other_order)
    assert fingerprint({"Environment": {"Error": {"ErrorCode": "KMS", "Message": SECRET}}}) == fingerprint({})


# By hand.


@pytest.mark.parametrize(
    ("arn", "region"),
    [(ARN, "eu-central-1"), ("arn:aws-cn:lambda:cn-north-1:123456789012:function:orders", "cn-north-1")],
)
def test_commands_by_hand_name_the_region_and_the_function(arn: str, region: str) -> None:
    for command in Changes(
        cast("Aws", SimpleNamespace(profile=None)), arn, run_id=RUN, memory_mb=512, sizes_mb=[], original=None
    ).by_hand():
        assert command.count("aws lambda ") == command.count(f"--region {region} --function-name orders")
    assert memory_command(arn, 512).endswith(f"--region {region} --function-name orders --memory-size 512")


def test_commands_by_hand_do_what_they_are_for_when_a_shell_runs_them(function: Lambda, tmp_path: Path) -> None:
    changes = publish_some(function)
    log = tmp_path / "calls"
    fake = tmp_path / "aws"
    # Answers the listing as `--output text` does, and writes down how it was called.
    fake.write_text(
        f'#!/bin/sh\nfor word in "$@"; do printf \'%s\\n\' "$word"; done > {tmp_path}/one\n'
        f"tr '\\n' '\\037' < {tmp_path}/one >> {log}; echo >> {log}\n"
        "case $2 in list-versions-by-function) printf '2\\t3\\n';; esac\n"
    )
    fake.chmod(0o755)
    for command in changes.by_hand():
        subprocess.run(["/bin/sh", "-c", command], check=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    calls = [line.rstrip("\x1f").split("\x1f") for line in log.read_text().splitlines()]
    where = ["--region", "eu-central-1", "--function-name", "orders"]
    assert calls[0] == ["lambda", "update-function-configuration", *where, "--memory-size", "512"]
    assert calls[1][:6] == ["lambda", "list-versions-by-function", *where]
    assert calls[2:] == [["lambda", "delete-function", *where, "--qualifier", number] for number in ("2", "3")]
    query = calls[1][calls[1].index("--query") + 1]
    (page,) = [{"Versions": [version for part in function.paginate(FunctionName=ARN) for version in part["Versions"]]}]
    page["Versions"] = [version for version in page["Versions"] if version["Version"] != "$LATEST"]
    assert jmespath.search(query, page) == ["2", "3"]


def test_commands_by_hand_delete_nothing_where_there_is_no_version(tmp_path: Path) -> None:
    fake = tmp_path / "aws"
    fake.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n')
    fake.chmod(0o755)
    changes = Changes(
        cast("Aws", SimpleNamespace(profile=None)), ARN, run_id=RUN, memory_mb=512, sizes_mb=[], original=None
    )
    for command in changes.by_hand():
        subprocess.run(["/bin/sh", "-c", command], check=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    deletions = [call for call in (tmp_path / "calls").read_text().splitlines() if "delete-function" in call]
    assert all(call.endswith("--qualifier") for call in deletions), "which AWS refuses for want of a value"


NAME_CHARACTERS = "abcxyzABCXYZ0189-_"


@pytest.mark.parametrize("name", [NAME_CHARACTERS, "a" * 64, "_", "0"])
def test_names_that_functions_may_have_need_no_quotes_in_a_shell(name: str) -> None:
    arn = f"arn:aws:lambda:eu-central-1:123456789012:function:{name}"
    changes = Changes(
        cast("Aws", SimpleNamespace(profile=None)), arn, run_id=RUN, memory_mb=512, sizes_mb=[], original=None
    )
    for command in changes.by_hand():
        words = shlex.split(command)
        assert words.count(name) == command.count("--function-name")
    assert shlex.quote(name) == name


def memory_history(calls: Sequence[tuple[str, dict[str, Any]]]) -> list[int]:
    return [request["MemorySize"] for operation, request in calls if operation == "update_function_configuration"]


def test_a_run_changes_the_memory_once_a_size_and_once_back(function: Lambda) -> None:
    changes = tuning(function)
    for memory_mb in (512, 128, 1024):
        changes.set_memory(memory_mb)
        changes.publish()
    changes.put_back()
    assert memory_history(function.calls) == [128, 1024, 512]


def test_commands_by_hand_name_the_profile_that_the_run_used() -> None:
    assert " --profile 'my team' --region " in memory_command(
        "arn:aws:lambda:eu-west-1:123456789012:function:orders", 512, "my team"
    )
