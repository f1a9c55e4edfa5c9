"""Everything real on one machine, for `dca-daemon demo` and for the tests."""
