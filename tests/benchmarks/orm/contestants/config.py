"""What each contestant is told by the benchmark that starts it."""

import os

DATABASE = os.environ["BENCH_DATABASE"]
POOL_SIZE = int(os.environ["BENCH_POOL_SIZE"])
# Of PostgreSQL; the host is a folder if the server listens on a socket there.
HOST = os.environ.get("PGHOST", "")
PORT = int(os.environ.get("PGPORT", "5432"))
USER = os.environ.get("PGUSER", "")
PASSWORD = os.environ.get("PGPASSWORD")
NAME = os.environ.get("PGDATABASE", "")
# Of SQLite, the path of the file.
SQLITE = os.environ.get("BENCH_SQLITE", "")
