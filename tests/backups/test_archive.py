"""What is written can be read with age's own program, and nothing that is wrong passes for whole."""

from __future__ import annotations

import io
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dca_daemon.domain.errors import BackupError, InputError
from dca_daemon.services.backups import archive, keys

DUMP = b"PGDMP" + bytes(range(256)) * 3000
NEW = keys.generate(datetime.now(UTC))


def written(path: Path) -> archive.Sink:
    return archive.write(path, io.BytesIO(DUMP), keys.read_recipients([NEW.public]))


def test_age_itself_opens_it_with_the_key_file(tmp_path: Path) -> None:
    program = shutil.which("age")
    if program is None:
        pytest.skip("there is no age here to open an archive with (apt-get install age)")
    written(at := tmp_path / "dump.age")
    (key := tmp_path / "key").write_text(NEW.text)
    assert subprocess.run([program, "--decrypt", "-i", key, at], check=True, capture_output=True).stdout == DUMP
    made = tmp_path / "by-age"
    subprocess.run([program, "-r", NEW.public, "-o", made], input=DUMP, check=True)
    assert archive.read(made, target := io.BytesIO(), keys.read_identities(NEW.text)) == len(DUMP)
    assert target.getvalue() == DUMP


def test_every_harm_is_seen_while_it_is_read(tmp_path: Path) -> None:
    sink = written(at := tmp_path / "dump.age")
    whole = at.read_bytes()
    assert (sink.size_bytes, sink.sha256) == (len(whole), archive.sha256_of(at))
    identities = keys.read_identities(NEW.text)
    for harm in (
        whole[:-1],
        whole[: len(whole) // 2],
        whole + b"x",
        b"",
        whole[:40],
        DUMP,
        whole.replace(b"X25519", b"X25518"),
    ):
        at.write_bytes(harm)
        with pytest.raises(BackupError, match=r"damaged|does not open"):
            archive.read(at, None, identities)
    at.write_bytes(b"MZ not a dump")
    with pytest.raises(BackupError, match="no archive of pg_dump"):
        archive.read(at, None, None)


class FullDisk(io.RawIOBase):
    """Takes a little, then no more."""

    def write(self, data: object, /) -> int:
        raise OSError(28, "No space left on device")


def test_a_full_disk_is_no_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the only write that fails is the last one, which the library keeps to itself."""
    monkeypatch.setattr("os.fdopen", lambda *_args, **_options: FullDisk())
    for source in (b"PGDMP", DUMP):
        with pytest.raises(BackupError, match="the disk is full"):
            archive.write(tmp_path / f"{len(source)}", io.BytesIO(source), keys.read_recipients([NEW.public]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no key file"),
        ("# nothing\n", "no key file"),
        (NEW.public, "this is a public key"),
        (NEW.text.replace("KEY-1", "KEY-2"), "no key file"),
        ("age-encryption.org/v1\n-> scrypt", "protected by a passphrase"),
    ],
    ids=["empty", "remarks only", "public", "mistyped", "with a passphrase"],
)
def test_a_key_file_that_is_none_is_told_apart(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        keys.read_identities(text)
