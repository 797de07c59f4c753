"""The event a handler gets: from a file, inline JSON, standard input, or a sample that ships with powertune."""

import json
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
    if spec == "-":
        return _checked(_decode(sys.stdin.buffer.read(MAX_PAYLOAD_BYTES + 1), "standard input"), "standard input")
    if spec.lstrip()[:1] in ("{", "[", '"'):
        return _checked(spec, "the payload given inline")
    path = Path(spec)
    if not path.exists() and _is_json(spec):  # a bare number, true, null: after files, which may have such names
        return spec
    return _checked(_read_file(path), spec)


def _read_file(path: Path) -> str:
    shown = text.printable(path)
    try:
        if path.stat().st_size > MAX_PAYLOAD_BYTES:
            raise _too_large(shown)
        return _decode(path.read_bytes(), shown)
    except FileNotFoundError:
        raise BadInputError(f"there is no payload file {shown}", hint=_FORMS) from None
    except OSError as error:
        raise BadInputError(f"the payload {shown} cannot be read: {error.strerror}", hint=_FORMS) from error


def _sample_folder() -> Path:
    return next((folder for folder in _SAMPLE_FOLDERS if folder.is_dir()), _SAMPLE_FOLDERS[0])


def _read_sample(name: str) -> str:
    names = sample_names()
    if name not in names:
        known = text.nearest(name, names) or f"there are: {', '.join('@' + known for known in names)}"
        raise BadInputError(f"there is no sample payload @{text.printable(name, limit=40)}", hint=known)
    return (_sample_folder() / f"{name}.json").read_text(encoding="utf-8")


def _decode(data: bytes, shown: str) -> str:
    if len(data) > MAX_PAYLOAD_BYTES:
        raise _too_large(shown)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadInputError(f"the payload {shown} is not UTF-8 text", hint="save it as JSON in UTF-8") from None


def _checked(payload: str, shown: str) -> str:
    if len(payload.encode("utf-8", "surrogatepass")) > MAX_PAYLOAD_BYTES:
        raise _too_large(shown)
    try:
        json.loads(payload)
    except (ValueError, RecursionError) as error:
        where = f" at line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise BadInputError(f"the payload {text.printable(shown)} is not JSON{where}", hint=_FORMS) from None
    return payload


def _too_large(shown: str) -> BadInputError:
    return BadInputError(
        f"the payload {text.printable(shown)} is larger than the 6 MB that Lambda takes",
        hint="put the data in S3 and pass a reference, as the function would get it",
    )


def _is_json(spec: str) -> bool:
    try:
        json.loads(spec)
    except (ValueError, RecursionError):
        return False
    return True
