"""Settings of every test run, of all packages."""

from __future__ import annotations

import os

# Coverage follows into the workers of xdist. Commands that tests start shall be what a user starts:
# measuring would import modules that the tests expect not to be there.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.pop("COVERAGE_PROCESS_CONFIG", None)
