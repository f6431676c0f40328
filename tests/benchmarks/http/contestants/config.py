"""What each contestant is told by the benchmark that starts it."""

import os
from pathlib import Path

HOST = os.environ["PGHOST"]
PORT = int(os.environ["PGPORT"])
USER = os.environ["PGUSER"]
PASSWORD = os.environ.get("PGPASSWORD")
DATABASE = os.environ["PGDATABASE"]
POOL_SIZE = int(os.environ["BENCH_POOL_SIZE"])
# Whether Django's and vinyl's sites have the middleware that startproject lists.
MIDDLEWARE = os.environ.get("BENCH_MIDDLEWARE") == "1"
TEMPLATES = Path(__file__).parents[1] / "templates"
