"""What the tests of broken databases, clocks and daemons share."""

from __future__ import annotations

from tests.e2e.conftest import installation as installation
from tests.faults.breakable import breakable as breakable
