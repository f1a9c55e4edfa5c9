"""The rules of intake and payer, run on simulated time, books, wallet and network under a seeded scheduler.

`python -m tests.simulation` runs seeds, one of them with a trace; `make simulate` calls it.
"""
