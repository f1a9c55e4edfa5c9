"""Fixtures for every room; each family has its own module under tests/fixtures."""

pytest_plugins = ["tests.fixtures.postgres", "tests.fixtures.books", "tests.fixtures.lnbits"]
