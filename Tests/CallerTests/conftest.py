"""The callers need no engine of ours, only the image that the client tests have."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "ClientTests"))
