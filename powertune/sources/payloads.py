"""The event a handler gets: from a file, inline JSON, standard input, or a sample that ships with powertune."""

import json
import math
import sys
from pathlib import Path

from powertune import text
from powertune.aws_lambda.memory import MAX_PAYLOAD_BYTES
from powertune.errors import BadInputError

_PACKAGE = Path(__file__).resolve().parent.parent
# Inside an installed package, or beside it in a checkout.
_SAMPLE_FOLDERS = (_PACKAGE / "sample_payloads", _PACKAGE.parent / "sample_payloads")

_FORMS = "give a file, inline JSON, - for standard input, or a sample such as @s3-put"


def sample_names() -> list[str]:
    """Return the names of the shipped sample payloads, without the @."""
    return sorted(path.stem for path in _sample_folder().glob("*.json"))


def read_payload(spec: str) -> str:
    """Return the JSON text that `spec` stands for: a path, inline JSON, `-` for standard input, or `@name`.

    Raises BadInputError where it cannot be read, is no JSON, or is larger than Lambda takes.
    """
    if spec.startswith("@"):
        return _checked(_read_sample(spec[1:]), spec)
    near = text.nearest(spec, sample_names()).replace("did you mean ", "did you mean the sample @")
    try:
        content = read_text(spec, noun="payload", hint=near or _FORMS)
    except BadInputError:
        if json_problem(spec) is None:  # a bare number, true, null: after files, which may have such names
            return spec
        raise
    return _checked(content, _origin(spec))


def read_text(spec: str, *, noun: str, hint: str) -> str:
    """Return the text that `spec` stands for: a path, `-` for standard input, or what itself begins as JSON does.

    `noun` is what messages call it, `hint` the way out where there is no such file. Raises BadInputError where it
    cannot be read, or is larger than the 6 MB of a payload.
    """
    if spec == "-":
        return _decode(sys.stdin.buffer.read(MAX_PAYLOAD_BYTES + 1), noun, _origin(spec))
    if _is_inline(spec):
        return spec
    try:
        with Path(spec).open("rb") as stream:
            return _decode(stream.read(MAX_PAYLOAD_BYTES + 1), noun, spec)
    except FileNotFoundError:
        raise BadInputError(f"there is no {noun} file {_short(spec)}", hint=hint) from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise BadInputError(f"the {noun} {_short(spec)} cannot be read: {why}", hint=hint) from error


def _is_inline(spec: str) -> bool:
    return spec.lstrip()[:1] in ("{", "[", '"')


def _origin(spec: str) -> str:
    return "from standard input" if spec == "-" else "given inline" if _is_inline(spec) else spec


def _short(shown: str) -> str:
    return text.printable(shown, limit=120)


def _sample_folder() -> Path:
    return next((folder for folder in _SAMPLE_FOLDERS if folder.is_dir()), _SAMPLE_FOLDERS[0])


def _read_sample(name: str) -> str:
    names = sample_names()
    if name not in names:
        known = text.nearest(name, names) or f"there are: {', '.join('@' + known for known in names)}"
        raise BadInputError(f"there is no sample payload @{text.printable(name, limit=40)}", hint=known)
    return (_sample_folder() / f"{name}.json").read_text(encoding="utf-8")


def _decode(data: bytes, noun: str, shown: str) -> str:
    if len(data) > MAX_PAYLOAD_BYTES:
        raise _too_large(noun, shown)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInputError(f"the {noun} {_short(shown)} is not UTF-8 text", hint="save it as JSON in UTF-8") from None


def _checked(payload: str, shown: str) -> str:
    check_size(payload, "payload", shown)
    problem = json_problem(payload)
    if problem is not None:
        raise BadInputError(f"the payload {_short(shown)} is not JSON{problem}", hint=_FORMS)
    return payload


def json_text(payload: object) -> str:
    """Return a payload given as a value as JSON text; {} for None. Raises BadInputError for what JSON cannot hold."""
    try:
        return json.dumps({} if payload is None else payload)
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInputError(
            f"the payload cannot be JSON: {text.printable(error)}", hint="give what JSON can hold"
        ) from error


def check_size(content: str, noun: str, shown: str) -> None:
    """Raise BadInputError if a text is larger than a payload may be, which is 6 MB."""
    if len(content.encode("utf-8", "surrogatepass")) > MAX_PAYLOAD_BYTES:
        raise _too_large(noun, shown)


def json_problem(content: str) -> str | None:
    """Return where a text fails to be JSON, as words that may be empty, or None if it is JSON."""
    try:
        json.loads(content, parse_constant=_refuse, parse_float=_finite)
    except json.JSONDecodeError as error:
        return f" at line {error.lineno}, column {error.colno}"
    except (ValueError, RecursionError):
        return ""
    return None


def _refuse(constant: str) -> None:
    raise ValueError(f"JSON has no {constant}")


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError("beyond all numbers")
    return value


def _too_large(noun: str, shown: str) -> BadInputError:
    return BadInputError(
        f"the {noun} {_short(shown)} is larger than the 6 MB that Lambda takes",
        hint="put the data in S3 and pass a reference, as the function would get it",
    )
