"""Thin handlers around other people's work: benchmarks of pyperformance, and packages from PyPI.

They run in a virtual environment of their own, so what they import is not there for the type checker.
"""

import http.server
import importlib
import importlib.util
import json
import sqlite3
import threading
from pathlib import Path
from typing import Any


def _benchmark(name: str) -> Any:
    """Return a benchmark of pyperformance as a module."""
    package = importlib.import_module("pyperformance")
    path = Path(str(package.__file__)).parent / "data-files" / "benchmarks" / f"bm_{name}" / "run_benchmark.py"
    spec = importlib.util.spec_from_file_location(f"bm_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pure_nbody(_event: Any, _context: Any) -> None:
    """pyperformance: planets, floating point in pure Python."""
    _benchmark("nbody").bench_nbody(1, "sun", 12_000)


def pure_richards(_event: Any, _context: Any) -> None:
    """pyperformance: the Richards simulation of an operating system, objects and calls."""
    richards = _benchmark("richards").Richards()
    richards.run(2)


def pure_deltablue(_event: Any, _context: Any) -> None:
    """pyperformance: the DeltaBlue constraint solver."""
    _benchmark("deltablue").delta_blue(2_000)


def pure_sqlglot(_event: Any, _context: Any) -> int:
    """sqlglot: parse and print SQL, in pure Python."""
    sqlglot = importlib.import_module("sqlglot")
    query = "SELECT a, SUM(b) AS s FROM t JOIN u ON t.i = u.i WHERE c > 3 GROUP BY a HAVING s > 1 ORDER BY s LIMIT 9"
    return sum(len(sqlglot.transpile(query, read="duckdb", write="spark")[0]) for _ in range(100))


def pure_jinja2(_event: Any, _context: Any) -> int:
    """Jinja2: render a page of a thousand rows."""
    jinja2 = importlib.import_module("jinja2")
    template = jinja2.Template(
        "{% for row in rows %}<tr><td>{{ row|e }}</td><td>{{ loop.index }}</td></tr>{% endfor %}"
    )
    return sum(len(template.render(rows=[f"<{number}>" for number in range(1_000)])) for _ in range(40))


def extension_numpy(_event: Any, _context: Any) -> float:
    """numpy: sort and multiply, in C."""
    numpy = importlib.import_module("numpy")
    values = numpy.random.default_rng(7).random((350, 350))
    for _ in range(8):
        values = numpy.sort(values @ values.T % 1.0, axis=0)
    return float(values.sum())


def extension_regex(_event: Any, _context: Any) -> int:
    """regex: fuzzy matching, in C."""
    regex = importlib.import_module("regex")
    text = "the quick brown fox jumps over the lazy dog " * 40
    return sum(len(regex.findall(r"(?:quik|lazi){e<=1}", text)) for _ in range(80))


def extension_yaml(_event: Any, _context: Any) -> int:
    """PyYAML: dump and load."""
    yaml = importlib.import_module("yaml")
    document = [{"name": f"item {number}", "tags": ["a", "b"], "price": number / 7} for number in range(60)]
    return sum(len(yaml.safe_load(yaml.safe_dump(document))) for _ in range(3))


def database_sqlite(_event: Any, _context: Any) -> int:
    """SQLite: insert, index and join in memory."""
    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE TABLE orders (id INTEGER, customer INTEGER, price REAL)")
        rows = ((number, number % 997, number / 3) for number in range(60_000))
        database.executemany("INSERT INTO orders VALUES (?, ?, ?)", rows)
        database.execute("CREATE INDEX by_customer ON orders (customer)")
        query = "SELECT COUNT(*) FROM orders a JOIN orders b ON a.customer = b.customer WHERE a.customer < 40"
        return int(database.execute(query).fetchone()[0])


def processes_joblib(_event: Any, _context: Any) -> int:
    """joblib: two processes at a time."""
    joblib = importlib.import_module("joblib")
    with joblib.parallel_backend("multiprocessing"):
        return len(joblib.Parallel(n_jobs=2)(joblib.delayed(_sum_of_squares)(250_000) for _ in range(4)))


def _sum_of_squares(count: int) -> int:
    return sum(number * number for number in range(count))


class _Answering(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"path": self.path, "numbers": list(range(500))}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def network_requests(_event: Any, _context: Any) -> int:
    """requests: against a server on the loopback, in a thread of the handler."""
    requests = importlib.import_module("requests")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answering) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/orders"
            with requests.Session() as session:
                session.trust_env = False
                return sum(len(session.get(f"{url}/{number}", timeout=60).json()["numbers"]) for number in range(40))
        finally:
            server.shutdown()
            thread.join()
