"""Where a model of the user's choice lies, and a name for its weights. No model library."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path

from data.errors import ModelError

_UNUSED = ["*.onnx", "onnx/*", "openvino/*", "*.h5", "*.ot", "*.msgpack", "*.gguf", "*.tflite"]


def resolve(model: str) -> Path:
    """Find a local folder, or the hub model in the local hub cache, downloading it when needed.

    Raises:
        ModelError: Neither exists, or the hub cannot be reached.
    """
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not (folder / "modules.json").is_file() and not (folder / "config.json").is_file():
            message = (
                f"{folder} has no modules.json or config.json; expected a sentence-transformers "
                "folder. Save one with `SentenceTransformer(...).save(path)`, or unset "
                "ZHIWEI_MODEL for the bundled model"
            )
            raise ModelError(message)
        return folder.resolve()
    if model.startswith((".", "/", "~")) or model.count("/") > 1:
        message = (
            f"the model folder {model} does not exist; "
            "set ZHIWEI_MODEL to an existing folder, or unset it for the bundled model"
        )
        raise ModelError(message)
    return _from_hub(model)


def _from_hub(model: str) -> Path:
    from huggingface_hub import snapshot_download  # slow, and rarely wanted
    from huggingface_hub.errors import LocalEntryNotFoundError

    with suppress(LocalEntryNotFoundError, ValueError):
        return Path(snapshot_download(model, local_files_only=True, ignore_patterns=_UNUSED))
    try:
        return Path(snapshot_download(model, ignore_patterns=_UNUSED))
    except Exception as error:
        message = (
            f"the model {model!r} is neither a folder nor in the hub's cache, and the hub gave: "
            f"{type(error).__name__}; check the name and the network, or unset ZHIWEI_MODEL for "
            "the bundled model"
        )
        raise ModelError(message) from error


def fingerprint(folder: Path, cache_folder: Path) -> str:
    """Hash every file that can change a vector: 16 hex digits.

    Hashing gigabytes takes seconds, so the answer is kept in the cache folder beside sizes and
    times of the files, and computed again when those change.
    """
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in {".json", ".safetensors", ".bin", ".model", ".txt"}
    )
    facts = [
        [str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns]
        for path in files
    ]
    place = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    record_path = cache_folder / "fingerprints" / f"{place}.json"
    with suppress(OSError, ValueError, KeyError):
        record = json.loads(record_path.read_text(encoding="utf-8"))
        if record["facts"] == facts:
            return str(record["fingerprint"])
    digest = hashlib.sha256()
    for path in files:
        digest.update(str(path.relative_to(folder)).encode())
        with path.open("rb") as file:
            while chunk := file.read(1 << 22):
                digest.update(chunk)
    value = digest.hexdigest()[:16]
    with suppress(OSError):
        record_path.parent.mkdir(parents=True, exist_ok=True)
        record = {"folder": str(folder), "facts": facts, "fingerprint": value}
        record_path.write_text(json.dumps(record), encoding="utf-8")
    return value
