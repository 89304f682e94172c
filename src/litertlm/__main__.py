"""`python -m litertlm`."""

import sys

from litertlm.cli.main import main

sys.exit(main())
