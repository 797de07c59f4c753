"""Thousands of invocations in one run: all of them kept, and little memory taken. `-s` prints the figures."""

import json
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
from believable_lambda import Work
from contenders import Sized, tune_at_once
from lambda_process import ClientProcess, LambdaProcess, Scene

import powertune

SIZES_MB = (128, 256, 512, 768, 1024, 1280, 1536, 1769, 2048, 3008)
SCENE = Scene(Work(cpu_ms=100, wait_ms=10), time_scale=0)


def tuned(server: LambdaProcess, samples: int, folder: Path, sizes_mb: Sequence[int] = SIZES_MB) -> Sized:
    """Tune in a fresh process, whose memory nothing else has used before."""
    folder.mkdir()
    with ClientProcess(server.endpoint_url) as client:
        given = (sizes_mb, samples, str(folder / "state"), str(folder / "run.json"))
        sized = client.submit(tune_at_once, *given).result()
    print(  # noqa: T201  # the figures are part of what is shown
        f"\n{len(sized.run.invocations):,} invocations: {sized.seconds:.1f} s, {sized.cpu_s:.1f} s of CPU, peak of"
        f" memory {sized.loaded_mb:.0f} MB when loaded, {sized.peak_mb:.0f} MB at the end",
        end="",
    )
    return sized


@pytest.mark.parametrize("samples", [200, pytest.param(1000, marks=pytest.mark.benchmark)])
def test_thousands_of_invocations_are_all_kept_in_little_memory(tmp_path: Path, samples: int) -> None:
    with LambdaProcess(SCENE) as server:
        few = tuned(server, 10, tmp_path / "few")
        many = tuned(server, samples, tmp_path / "many")
        seen = server.seen()
    assert many.peak_mb < few.peak_mb + 100

    executed = [execution.request_id for execution in seen.invocations[len(few.run.invocations) :]]
    assert len(executed) == len(set(executed)) >= samples * len(SIZES_MB)
    path = tmp_path / "many" / "run.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    rows = document["invocations"]
    schema = resources.files("powertune.model").joinpath("run-1.schema.json").read_text(encoding="utf-8")
    jsonschema.Draft202012Validator(json.loads(schema)).validate(document)
    assert sorted(row["request_id"] for row in rows) == sorted(executed)
    assert all(row["environment"] for row in rows)
    assert many.run.spent.invocations == len(executed)
    assert sum(size.invocations.warm + size.invocations.cold for size in many.run.sizes) == len(executed)
    loaded = powertune.load(path)
    assert loaded.invocations == many.run.invocations
    assert json.loads(loaded.to_json()) == document

    assert list((tmp_path / "many" / "state").iterdir()) == []
    assert seen.now == seen.before


def test_runs_that_wait_for_their_logs_do_not_keep_what_the_function_returned(tmp_path: Path) -> None:
    with LambdaProcess(replace(SCENE, tail="absent", response=b'"' + b"x" * 1_000_000 + b'"')) as server:
        sized = tuned(server, 150, tmp_path / "large", (512, 1024))
    assert sized.run.source["durations_from_logs"] == len(sized.run.invocations) >= 300
    assert sized.peak_mb < sized.loaded_mb + 150
