"""All that powertune ever changes on a function: the memory of `$LATEST`, and versions of its own; and putting it back.

Each step reads what is there, names what it expects with RevisionId, and tries again where somebody else was in
between and changed nothing that matters. A deploy by somebody else stops everything: nothing is put back over it.
"""

import hashlib
import json
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from powertune.errors import AwsError, PowertuneError
from powertune.sources.aws.clients import (
    Aws,
    CredentialsError,
    DeniedError,
    NotFoundError,
    error_code,
    error_message,
    explained,
    told,
)
from powertune.sources.aws.target import DEPLOYED_FIELDS, LATEST, Target, differences, plain, settled_configuration

_MARK = "powertune"
_MARKED = re.compile(
    rf"{_MARK} run (?P<run>[0-9a-f]+)\.(?P<number>[0-9]+): (?P<memory>[0-9]+) MB, was (?P<was>[0-9]+) MB; "
    r"(?:then (?P<next>[0-9, ]+) MB; )?"
)
_LONGEST_DESCRIPTION = 256
"""Of a version, in characters (API reference of PublishVersion, 2026)."""
_MEMORY_LIMIT = re.compile(r"less than or equal to (\d+)")
_TRIES = 8
_RESTORE_TRIES = 6
_TRIES_IF_HOPELESS = 2
"""For what is not likely to pass: a permission or the whole function that is missing, a bug."""
_LONGEST_PAUSE_S = 8.0
_DELETES_AT_ONCE = 4
"""Deletions side by side; Lambda's control plane takes 15 requests a second over all callers of the account."""


class SizeRefusedError(AwsError):
    """AWS does not give this function that memory size; other sizes can go on."""


class DeployedMeanwhileError(AwsError):
    """Somebody else changed the function during the run."""

    memory_is_ours = False
    """Whether `$LATEST` still has a memory size that this run gave it."""


@dataclass(frozen=True, slots=True)
class Version:
    """A published version that can be measured."""

    number: str
    memory_mb: int
    is_ours: bool
    """False for one that was there before and holds the very same code and configuration."""
    is_active: bool


@dataclass(frozen=True, slots=True)
class Marked:
    """A version that carries powertune's mark."""

    number: str
    run_id: str
    memory_mb: int
    was_mb: int
    next_mb: tuple[int, ...] = ()
    """Sizes that `$LATEST` was to get next."""


def fingerprint(config: Mapping[str, Any]) -> dict[str, str]:
    """Return a short hash of each field that a deploy may change, to tell later whether there was one.

    Of the environment only the names are hashed: a hash of its values could confirm a guess at a secret.
    """

    def shortened(name: str) -> str:
        value = config.get(name)
        if name == "Environment" and isinstance(value, Mapping):
            value = sorted(value.get("Variables") or {})
        return hashlib.sha256(json.dumps(plain(value), sort_keys=True, default=str).encode()).hexdigest()[:12]

    return {name: shortened(name) for name in DEPLOYED_FIELDS}


class Changes:
    """The changes of one run to one function, made one after the other by one thread.

    `original` is the configuration before the run, or the fingerprint of it that a journal kept; `sizes_mb` are the
    sizes that the run may have given to `$LATEST`.
    """

    def __init__(
        self,
        aws: Aws,
        function_arn: str,
        *,
        run_id: str,
        memory_mb: int,
        sizes_mb: Sequence[int],
        original: Mapping[str, Any] | None = None,
        deployed: Mapping[str, str] | None = None,
        is_back: bool = False,
        poll_s: float = 0.25,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._aws = aws
        self.function_arn = function_arn
        self.run_id = run_id
        self.memory_mb = memory_mb
        self._sizes_mb = {*sizes_mb, memory_mb}
        # What this run may have left there: anything it was going to set, or, while it runs, just the last of it.
        self._may_have_mb = {memory_mb} if is_back else self._sizes_mb
        self._original = original
        self._deployed = deployed
        self._poll_s = poll_s
        self.is_back = is_back
        """Whether `$LATEST` has the memory that it had, as far as this run is concerned."""
        self._tell = tell
        self._published = 0
        self._named_mb: set[int] = set()
        """Sizes that the marks of this run name."""
        self._settled: Mapping[str, Any] | None = None

    @classmethod
    def of(
        cls,
        target: Target,
        aws: Aws,
        *,
        run_id: str,
        sizes_mb: Sequence[int],
        poll_s: float,
        tell: Callable[[str], None] = lambda _: None,
    ) -> "Changes":
        """Return the changes that a run makes to `target`. `tell` hears of what takes longer than usual."""
        return cls(
            aws,
            target.arn,
            run_id=run_id,
            memory_mb=target.memory_mb,
            sizes_mb=sizes_mb,
            original=target.config,
            is_back=True,
            poll_s=poll_s,
            tell=tell,
        )

    # Changing

    def set_memory(self, memory_mb: int) -> None:
        """Give `$LATEST` a memory size, and wait until it has it.

        Raises SizeRefusedError where AWS does not offer that size, DeployedMeanwhileError, PowertuneError.
        """
        self._may_have_mb = {*self._may_have_mb, memory_mb}
        with told("changing the function's memory"):
            for config in self._attempts():
                if config["MemorySize"] == memory_mb:
                    self._settled = config
                    self._may_have_mb = {memory_mb}
                    return
                self.is_back = False
                try:
                    self._unless_overtaken(
                        self._aws.control.update_function_configuration, config, MemorySize=memory_mb
                    )
                except ClientError as error:
                    limit = _MEMORY_LIMIT.search(error_message(error))
                    if limit is None or "memorysize" not in error_message(error).lower():
                        raise
                    raise SizeRefusedError(
                        f"this account offers at most {int(limit[1]):,} MB",
                        hint="ask AWS support to lift the limit, or leave out larger sizes with --memory",
                    ) from error
                # The next round waits until the update is over, and sees what came of it.

    def publish(self, then_mb: Sequence[int] = ()) -> Version:
        """Publish `$LATEST` as it was last settled, as a version that carries this run's mark.

        The mark tells what to put back; and the sizes to come, `then_mb` and as many of the run's others as there is
        room for, for telling this run's doing from somebody else's where there is nothing but the mark to go by.
        Lambda publishes nothing where nothing has changed since the last version: that one is returned, as not ours.
        """
        self._published += 1
        others_mb = sorted(self._sizes_mb - self._named_mb - {*then_mb})
        with told("publishing a version of the function"):
            for config in self._attempts(self._settled):
                memory_mb = int(config["MemorySize"])
                next_mb = [size for size in (*then_mb, *others_mb) if size != memory_mb]
                mark = self._mark(memory_mb, next_mb)
                code = {"CodeSha256": config["CodeSha256"]} if config.get("CodeSha256") else {}
                answer = self._unless_overtaken(self._aws.control.publish_version, config, Description=mark, **code)
                if answer is not None:
                    marked = _MARKED.match(answer.get("Description") or "")
                    if marked is not None and marked["run"] == self.run_id:
                        self._named_mb |= {memory_mb, *_sizes_in(marked["next"])}
                    return Version(
                        number=str(answer["Version"]),
                        memory_mb=memory_mb,
                        is_ours=marked is not None and marked["run"] == self.run_id,
                        is_active=answer.get("State", "Active") == "Active",
                    )
        raise AssertionError("attempts end with an error")

    def announce(self, sizes_mb: Sequence[int]) -> None:
        """See that a mark names the size that `$LATEST` is to get next, the first of these, where there are marks.

        Where none does, one is published with the memory that `$LATEST` has. Raises PowertuneError.
        """
        if self._named_mb and sizes_mb[0] not in self._named_mb:
            self.publish(sizes_mb)

    def _mark(self, memory_mb: int, next_mb: Sequence[int]) -> str:
        """Return the description of a version: with as many sizes to come as there is room for."""
        head = f"{_MARK} run {self.run_id}.{self._published}: {memory_mb} MB, was {self.memory_mb} MB; "
        tail = f"{_MARK} restore removes it"
        for count in range(len(next_mb), 0, -1):
            mark = f"{head}then {', '.join(map(str, next_mb[:count]))} MB; {tail}"
            if len(mark) <= _LONGEST_DESCRIPTION:
                return mark
        return head + tail

    def _unless_overtaken(self, call: Callable[..., Any], config: Mapping[str, Any], **wanted: Any) -> Any | None:
        """Return the answer of a change made to just that configuration, or None where something came in between."""
        revision = {"RevisionId": config["RevisionId"]} if config.get("RevisionId") else {}
        self._settled = None
        try:
            return call(FunctionName=self.function_arn, **revision, **wanted)
        except ClientError as error:
            if error_code(error) in ("ResourceConflictException", "PreconditionFailedException"):
                return None
            if error_code(error) == "InvalidParameterValueException" and "CodeSHA256" in error_message(error):
                return None
            raise

    def _attempts(self, settled: Mapping[str, Any] | None = None) -> Iterator[Mapping[str, Any]]:
        """Yield the settled configuration, again and again until the caller is content; check it before each time.

        `settled` is one that was just read and checked.
        """
        for attempt in range(_TRIES):
            if attempt > 1:
                self._pause(attempt)
            config = settled or settled_configuration(self._aws, self.function_arn, poll_s=self._poll_s)
            settled = None
            changed = self._changed(config)
            if changed or config["MemorySize"] not in self._may_have_mb:
                raise self._meanwhile(changed, config["MemorySize"])
            if config.get("LastUpdateStatus") == "Failed":
                raise AwsError(
                    f"AWS could not update the function: {config.get('LastUpdateStatusReason') or 'no reason given'}",
                    hint="mend what it names, and run it again",
                )
            yield config
        raise AwsError(
            f"the function is being changed again and again: after {_TRIES} tries it was not as asked",
            hint="see who else updates it, and run it again",
        )

    def _pause(self, attempt: int) -> None:
        time.sleep(min(_LONGEST_PAUSE_S, 2 * self._poll_s * 2**attempt))

    # Putting back

    def put_back(self) -> bool:
        """Give `$LATEST` the memory it had, wait, and look. Return whether that was needed.

        Once it has been put back, its memory is left to others. Raises DeployedMeanwhileError where somebody else has
        changed the function before: then nothing is put back.
        """
        needed = False
        if self.is_back:
            return False

        def restored() -> None:
            nonlocal needed
            config = settled_configuration(self._aws, self.function_arn, poll_s=self._poll_s)
            changed = self._changed(config)
            memory_mb = config["MemorySize"]
            if memory_mb == self.memory_mb:
                return
            if changed or memory_mb not in self._may_have_mb:
                raise self._meanwhile(changed, memory_mb)
            needed = True
            self.set_memory(self.memory_mb)

        self._insist(restored)
        self.is_back = True
        return needed

    def delete_versions(self) -> list[str]:
        """Delete the versions that this run published, and look whether they are gone. Return their numbers.

        Raises AwsError for one that something else, such as an alias, holds on to.
        """
        deleted: list[str] = []
        held: list[str] = []

        def ours() -> list[str]:
            marked = marked_versions(self._aws, self.function_arn)
            return [item.number for item in marked if item.run_id == self.run_id and item.number not in held]

        def cleaned() -> None:
            numbers = ours()
            if not numbers:
                return
            with ThreadPoolExecutor(_DELETES_AT_ONCE) as pool:
                for number, is_gone in zip(numbers, pool.map(self._delete, numbers), strict=True):
                    (deleted if is_gone else held).append(number)
            if left := ours():
                raise AwsError(
                    f"version {left[0]} of the function is still there", hint="powertune restore tries again"
                )

        self._insist(cleaned)
        if held:
            raise AwsError(
                f"AWS does not let go of version {', '.join(held)}: an alias may point at it",
                hint="point that alias elsewhere, then run powertune restore",
            )
        return sorted(set(deleted), key=int)

    def _delete(self, number: str) -> bool:
        """Delete a version. Return False where something holds on to it."""
        if not number.isdecimal():  # without a qualifier the call would delete the whole function
            raise AssertionError(f"{number!r} is no version")
        with told(f"deleting version {number}"):
            try:
                self._aws.control.delete_function(FunctionName=self.function_arn, Qualifier=number)
            except ClientError as error:
                # A version that is still being set up cannot be deleted either, but soon.
                if error_code(error) == "ResourceConflictException" and "alias" in error_message(error).lower():
                    return False
                if error_code(error) != "ResourceNotFoundException":
                    raise
        return True

    def _insist(self, step: Callable[[], None]) -> None:
        """Do a step of putting back, and again after what may pass: lost connections, throttles, old credentials."""
        for attempt in range(_RESTORE_TRIES):
            try:
                try:
                    step()
                except (ClientError, BotoCoreError) as error:
                    raise explained(error, "putting the function back") from error
            except DeployedMeanwhileError:
                raise
            except Exception as error:  # even after a bug: nothing is worse than a function that is left changed
                may_pass = isinstance(error, PowertuneError) and not isinstance(error, DeniedError | NotFoundError)
                if attempt == (_RESTORE_TRIES if may_pass else _TRIES_IF_HOPELESS) - 1:
                    raise
                if isinstance(error, CredentialsError):
                    self._aws = self._aws.renewed()
                what = error.message if isinstance(error, PowertuneError) else type(error).__name__
                self._tell(f"Still putting the function back, after: {what}")
                self._pause(attempt)
            else:
                return

    def _changed(self, config: Mapping[str, Any]) -> list[str]:
        """Return the names of what somebody else changed since the run began."""
        if self._original is not None:
            return differences(self._original, config)
        if self._deployed is not None:
            now = fingerprint(config)
            return [name for name, value in self._deployed.items() if now.get(name) != value]
        return []

    def _meanwhile(self, changed: Sequence[str], memory_mb: int) -> DeployedMeanwhileError:
        error = DeployedMeanwhileError(
            f"somebody else changed the function meanwhile ({', '.join(changed) or 'its memory'}); it has"
            f" {memory_mb} MB now and had {self.memory_mb} MB before, and nothing was put back over that change",
            hint="look at its memory, and set it by hand where it is not as it should be: "
            + memory_command(self.function_arn, self.memory_mb, self._aws.profile),
        )
        error.memory_is_ours = memory_mb != self.memory_mb and memory_mb in self._sizes_mb
        return error

    def by_hand(self) -> list[str]:
        """Return the commands that put the function back without powertune."""
        name, region = self.function_arn.rsplit(":", 1)[1], self.function_arn.split(":")[3]
        function = f"{_profile_option(self._aws.profile)}--region {region} --function-name {name}"
        numbers = f"Versions[?starts_with(Description, '{_MARK} run {self.run_id}.')].Version"
        listing = f'aws lambda list-versions-by-function {function} --output text --query "{numbers}"'
        deleting = f"xargs -n 1 aws lambda delete-function {function} --qualifier"
        return [memory_command(self.function_arn, self.memory_mb, self._aws.profile), f"{listing} | {deleting}"]


def memory_command(function_arn: str, memory_mb: int, profile: str | None = None) -> str:
    """Return the AWS CLI command that gives a function a memory size."""
    name, region = function_arn.rsplit(":", 1)[1], function_arn.split(":")[3]
    function = f"{_profile_option(profile)}--region {region} --function-name {name}"
    return f"aws lambda update-function-configuration {function} --memory-size {memory_mb}"


def _profile_option(profile: str | None) -> str:
    return f"--profile {shlex.quote(profile)} " if profile else ""


def marked_versions(aws: Aws, function_arn: str) -> list[Marked]:
    """Return the versions of a function that carry powertune's mark. Raises PowertuneError."""
    found = []
    with told("listing the versions of the function"):
        for page in aws.control.get_paginator("list_versions_by_function").paginate(FunctionName=function_arn):
            for version in page["Versions"]:
                marked = _MARKED.match(version.get("Description") or "")
                if marked and version["Version"] != LATEST:
                    memory_mb, was_mb = int(marked["memory"]), int(marked["was"])
                    next_mb = _sizes_in(marked["next"])
                    found.append(Marked(version["Version"], marked["run"], memory_mb, was_mb, next_mb))
    return found


def _sizes_in(named: str | None) -> tuple[int, ...]:
    """Return the sizes in MB that a mark names as those to come."""
    return tuple(map(int, re.findall("[0-9]+", named or "")))
