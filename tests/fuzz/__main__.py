"""`python -m tests.fuzz --seconds N [target…]`: the targets, guided by coverage. See docs/testing.md."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

from tests.fuzz.choices import BytesChoices
from tests.fuzz.registry import GUIDED_MAX_SECONDS, all_targets, attempt

OUTPUT = Path("build/fuzz")
_OPTIONS = ("-max_len=4096", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1")
# Besides our own: what reads strangers' bytes for us, and is Python.
_INSTRUMENTED = ["dca_daemon", "bech32", "tomllib"]


def main() -> int:
    """Exit status 1 when something was found."""
    asked = _arguments()
    if asked.one:
        _guided(asked.one, asked.seconds)
    for path in asked.replay or ():
        from tests.fuzz.replay import replay

        replay(path)
        print(f"{path}: holds")
    if asked.replay:
        return 0
    names = asked.targets or list(all_targets())
    if asked.hypothesis or importlib.util.find_spec("atheris") is None:
        return _unguided(names, asked.seconds)
    return max(_run_apart(name, asked.seconds) for name in names)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="target", help="all, if none is named")
    parser.add_argument("--seconds", type=int, default=60, help="how long, for each target (60)")
    parser.add_argument("--hypothesis", action="store_true", help="with Hypothesis, also where atheris is")
    parser.add_argument("--replay", nargs="+", type=Path, metavar="FILE", help="try these inputs instead")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        return asked  # atheris first: nothing of ours may have been imported
    if unknown := sorted({*asked.targets} - all_targets().keys()):
        parser.error(f"unknown target {', '.join(unknown)}; there are {', '.join(all_targets())}")
    return asked


def _run_apart(name: str, seconds: int) -> int:
    """libFuzzer ends its process, so each target has its own; what it found it leaves in a file."""
    crashes, log = OUTPUT / "crashes", OUTPUT / f"{name}.log"
    crashes.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "tests.fuzz", "--one", name, "--seconds", str(seconds)]
    with log.open("w", encoding="utf-8") as output:
        status = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    last = next((line for line in reversed(lines) if "cov:" in line), "no statistics")
    print(f"{name}: {'holds' if status == 0 else f'FOUND SOMETHING, see {log}'}\n    {' '.join(last.split())}")
    return min(status, 1)


def _guided(name: str, seconds: int) -> None:
    """Does not return."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=_INSTRUMENTED):
        tried = all_targets()[name]
    corpus = OUTPUT / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    atheris.Setup(
        [
            sys.argv[0],
            *_OPTIONS,
            f"-max_total_time={seconds}",
            f"-artifact_prefix={OUTPUT}/crashes/{name}-",
            str(corpus),
        ],
        lambda data: attempt(tried, BytesChoices(data), GUIDED_MAX_SECONDS),
    )
    atheris.Fuzz()


def _unguided(names: list[str], seconds: int) -> int:
    from tests.fuzz.drawn import try_for

    for name in names:
        print(f"{name}: {try_for(all_targets()[name], seconds)} inputs hold")
    return 0


if __name__ == "__main__":
    sys.exit(main())
