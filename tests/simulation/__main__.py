"""`python -m tests.simulation`: many seeds, or one with its trace (`make simulate SEED=7`)."""

from __future__ import annotations

import argparse
import os
import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import islice

from tests.simulation.trace import Trace
from tests.simulation.world import run_seed

_SEEDS_PER_TASK = 50
_TRACE_LINES_SHOWN = 400


def main() -> int:
    """Exit status 1 when any seed fails."""
    options = _options()
    if options.seed is not None:
        return _replay(options.seed)
    began = time.monotonic()
    seeds = range(options.first, options.first + options.seeds)
    failed: dict[int, str] = {}
    totals: Counter[str] = Counter()
    chunks = [seeds[start : start + _SEEDS_PER_TASK] for start in range(0, len(seeds), _SEEDS_PER_TASK)]
    with ProcessPoolExecutor(options.jobs) as pool:
        for bad, counts in pool.map(_run_chunk, chunks):
            failed |= bad
            totals += counts
    seconds = time.monotonic() - began
    print(f"{len(seeds)} seeds in {seconds:.0f} s ({len(seeds) / seconds:.0f}/s), {len(failed)} failed")
    print(", ".join(f"{name} {count:,}" for name, count in sorted(totals.items())))
    for seed, why in islice(sorted(failed.items()), 20):
        print(f"seed {seed}: {why}\n  replay it: make simulate SEED={seed}")
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10_000, help="how many (default: 10000)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: one a core)")
    parser.add_argument("--seed", type=int, help="run this one only, and show what happened")
    return parser.parse_args()


def _run_chunk(seeds: range) -> tuple[dict[int, str], Counter[str]]:
    failed: dict[int, str] = {}
    counts: Counter[str] = Counter()
    for seed in seeds:
        try:
            counts += run_seed(seed).counts()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is this seed's result
            failed[seed] = f"{type(error).__name__}: {error}"[:500]
    return failed, counts


def _replay(seed: int) -> int:
    trace = Trace(keep=True)
    try:
        world = run_seed(seed, trace=trace)
    except BaseException:  # noqa: BLE001 - it is shown
        print("\n".join(list(trace.lines)[-_TRACE_LINES_SHOWN:]))
        traceback.print_exc()
        return 1
    print("\n".join(list(trace.lines)[-_TRACE_LINES_SHOWN:]))
    print(f"seed {seed} holds: {dict(world.counts())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
