"""Ways to tune a function, for a process of their own: powertune, and AWS Lambda Power Tuning's order of work."""

import random
import resource
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from lambda_process import NAME

import powertune
from powertune.model.recommendation import SearchName

SIZES_MB = (128, 256, 512, 1024, 1769, 3008)


@dataclass(frozen=True, slots=True)
class Took:
    """When a contender began and ended, in `time.monotonic()`."""

    began: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began


def load() -> None:
    """Import what is imported when it is first used, which is no part of a run."""
    for name in ("tune", "AwsSource", "Pace"):
        getattr(powertune, name)


def tune_with_powertune(
    time_scale: float, state_folder: str, search: SearchName, sizes_mb: Sequence[int] = SIZES_MB
) -> Took:
    """Tune as `powertune tune` does without options. Its pauses shrink as the server's times do."""
    began = time.monotonic()
    usual = powertune.Pace()
    pace = powertune.Pace(time_scale=time_scale, poll_s=usual.poll_s * time_scale)
    source = powertune.AwsSource(NAME, sizes=sizes_mb, pace=pace, state_folder=Path(state_folder))
    run = powertune.tune(source, search=search)
    ended = time.monotonic()
    if any(size.status != "ok" for size in run.sizes):
        raise AssertionError([size.reason for size in run.sizes])
    return Took(began, ended)


@dataclass(frozen=True, slots=True)
class Sized:
    """A run, and what it took of its process."""

    run: powertune.TuningRun
    seconds: float
    cpu_s: float
    loaded_mb: float
    """Peak of memory when everything was loaded and nothing had been done."""
    peak_mb: float


def tune_at_once(sizes_mb: Sequence[int], samples: int, state_folder: str, save: str) -> Sized:
    """Tune on a server where no time passes, and save the run."""
    load()
    began, began_cpu_s, before_mb = time.monotonic(), time.process_time(), _peak_mb()
    pace = powertune.Pace(parallel=8, time_scale=0, poll_s=0.01)
    source = powertune.AwsSource(NAME, sizes=sizes_mb, pace=pace, state_folder=Path(state_folder))
    run = powertune.tune(source, search="full", samples=samples)
    Path(save).write_text(run.to_json(), encoding="utf-8")
    return Sized(run, time.monotonic() - began, time.process_time() - began_cpu_s, before_mb, _peak_mb())


def _peak_mb() -> float:
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    # Linux counts into ru_maxrss what the parent had when it forked; this mark begins with the program.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def tune_in_the_order_of_alpt(time_scale: float, num: int, parallel: bool, seed: int) -> Took:  # noqa: FBT001
    """Make the calls of AWS Lambda Power Tuning 4.4 in its order, and nothing else.

    All sizes are prepared one after the other, then invoked side by side, then cleaned up. Left out, in its favour: the
    cold starts of its own Lambda functions, the transitions of its state machine, and what its JavaScript computes.
    """
    began = time.monotonic()
    _Alpt(time_scale, random.Random(seed)).run(SIZES_MB, num, parallel=parallel)  # noqa: S311  # spreads its polls
    return Took(began, time.monotonic())


class _Alpt:
    def __init__(self, time_scale: float, draws: random.Random) -> None:
        self._time_scale = time_scale
        self._random = draws
        config = Config(retries={"mode": "standard", "total_max_attempts": 20}, max_pool_connections=512)
        self._aws: Any = boto3.client("lambda", config=config)

    def run(self, sizes_mb: Sequence[int], num: int, *, parallel: bool) -> None:
        """Initializer, Publisher for each size and once more, Executor for all sizes, Cleaner."""
        before = self._aws.get_function_configuration(FunctionName=NAME, Qualifier="$LATEST")
        for size in sizes_mb:
            self._publish(size, before["Description"], f"RAM{size}")
        self._publish(before["MemorySize"], before["Description"], None)
        with ThreadPoolExecutor(len(sizes_mb)) as pool:
            list(pool.map(lambda size: self._execute(f"RAM{size}", num, parallel=parallel), sizes_mb))
            list(pool.map(lambda size: self._clean(f"RAM{size}"), sizes_mb))

    def _publish(self, memory_mb: int, description: str, alias: str | None) -> None:
        """publisher.js and createPowerConfiguration in utils.js."""
        self._aws.update_function_configuration(FunctionName=NAME, MemorySize=memory_mb, Description=description)
        self._wait_until_updated()
        version = self._aws.publish_version(FunctionName=NAME)["Version"]
        if alias is None:
            return
        try:
            self._aws.get_alias(FunctionName=NAME, Name=alias)
        except ClientError:
            self._aws.create_alias(FunctionName=NAME, Name=alias, FunctionVersion=version)
        else:
            self._aws.update_alias(FunctionName=NAME, Name=alias, FunctionVersion=version)

    def _wait_until_updated(self) -> None:
        """waitUntilFunctionUpdated of the AWS SDK for JavaScript, with minDelay 1 as ALPT has it."""
        attempt = 1
        while True:
            config = self._aws.get_function_configuration(FunctionName=NAME)
            if config["LastUpdateStatus"] == "Successful":
                return
            time.sleep(self._random.uniform(1, min(120, 2 ** (attempt - 1))) * self._time_scale)
            attempt += 1

    def _execute(self, alias: str, num: int, *, parallel: bool) -> None:
        """executor.js."""
        self._aws.get_function_configuration(FunctionName=NAME, Qualifier=alias)
        with ThreadPoolExecutor(num if parallel else 1) as pool:
            list(pool.map(lambda _: self._invoke(alias), range(num)))

    def _invoke(self, alias: str) -> None:
        answer = self._aws.invoke(FunctionName=NAME, Qualifier=alias, LogType="Tail", Payload=b"{}")
        answer["Payload"].read()
        if answer.get("FunctionError"):
            raise AssertionError(answer["FunctionError"])

    def _clean(self, alias: str) -> None:
        """cleaner.js."""
        version = self._aws.get_alias(FunctionName=NAME, Name=alias)["FunctionVersion"]
        self._aws.delete_alias(FunctionName=NAME, Name=alias)
        self._aws.delete_function(FunctionName=NAME, Qualifier=version)
