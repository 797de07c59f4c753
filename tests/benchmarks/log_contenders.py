"""The same question put to DuckDB and Polars: runs, mean, percentiles and spread by memory size, warm and cold apart.

Run as a program: `python log_contenders.py duckdb|polars FILE THREADS fields|tabs`. With `fields` each line is matched
with a regular expression that finds the fields by name, as a log demands; with `tabs` it is cut at tabs, and what
stands between the second and the third is taken for the duration, which is quicker and trusts every line.
"""

import sys
from typing import Any

PATTERN = (
    r"RequestId: (\S+)\s+Duration: ([0-9.]+) ms\s+Billed Duration: ([0-9]+) ms\s+Memory Size: ([0-9]+) MB"
    r"\s+Max Memory Used: ([0-9]+) MB(?:\s+Init Duration: ([0-9.]+) ms)?"
)


def duckdb_answer(path: str, threads: int, way: str) -> list[tuple[Any, ...]]:
    import duckdb  # noqa: PLC0415 - only one of the two is wanted

    connection = duckdb.connect()
    connection.execute(f"SET threads={threads}")
    lines = (
        f"read_csv('{path}', columns={{'line': 'VARCHAR'}}, delim='\\x01', quote='', escape='', header=false,"
        " auto_detect=false, strict_mode=false)"
    )
    if way == "fields":
        rows = f"""
            SELECT m.d::DOUBLE d, m.b::DOUBLE b, m.mb::INT mb, m.u::INT u, m.i <> '' cold
            FROM (SELECT regexp_extract(line, '{PATTERN}', ['id', 'd', 'b', 'mb', 'u', 'i']) m
                  FROM {lines} WHERE starts_with(line, 'REPORT RequestId: '))
        """  # noqa: S608 - a file of the test's own
    else:
        rows = f"""
            SELECT p[2][11:-4]::DOUBLE d, p[3][18:-4]::DOUBLE b, p[4][14:-4]::INT mb, p[5][18:-4]::INT u,
                   starts_with(p[6], 'Init') cold
            FROM (SELECT string_split(line, chr(9)) p FROM {lines} WHERE starts_with(line, 'REPORT RequestId: '))
        """  # noqa: S608 - likewise
    answer: list[tuple[Any, ...]] = connection.execute(
        f"""SELECT mb, cold, count(*), avg(d), quantile_cont(d, [0.5, 0.95, 0.99]), stddev(d), avg(b), max(u)
            FROM ({rows}) GROUP BY ALL ORDER BY ALL"""  # noqa: S608 - likewise
    ).fetchall()
    return answer


def polars_answer(path: str, threads: int, way: str) -> list[tuple[Any, ...]]:
    import os  # noqa: PLC0415 - used here alone

    os.environ["POLARS_MAX_THREADS"] = str(threads)
    import polars as pl  # noqa: PLC0415 - it reads the environment when it is imported

    line = pl.col("line")
    lines = pl.scan_csv(
        path, has_header=False, separator="\x01", quote_char=None, new_columns=["line"], schema={"line": pl.String}
    ).filter(line.str.starts_with("REPORT RequestId: "))
    if way == "fields":
        rows = lines.select(line.str.extract_groups(PATTERN).struct.unnest()).select(
            pl.col("2").cast(pl.Float64).alias("d"),
            pl.col("3").cast(pl.Int64).alias("b"),
            pl.col("4").cast(pl.Int32).alias("mb"),
            pl.col("5").cast(pl.Int32).alias("u"),
            pl.col("6").is_not_null().alias("cold"),
        )
    else:
        parts = line.str.split("\t").list

        def between(number: int, label: str, unit: str) -> pl.Expr:
            return parts.get(number).str.slice(len(label)).str.strip_suffix(unit)

        rows = lines.select(
            between(1, "Duration: ", " ms").cast(pl.Float64).alias("d"),
            between(2, "Billed Duration: ", " ms").cast(pl.Int64).alias("b"),
            between(3, "Memory Size: ", " MB").cast(pl.Int32).alias("mb"),
            between(4, "Max Memory Used: ", " MB").cast(pl.Int32).alias("u"),
            parts.get(5, null_on_oob=True).str.starts_with("Init").alias("cold"),
        )
    duration = pl.col("d")
    found = rows.group_by("mb", "cold").agg(
        pl.len(),
        duration.mean().alias("mean"),
        *(duration.quantile(share).alias(f"p{share}") for share in (0.5, 0.95, 0.99)),
        duration.std().alias("stddev"),
        pl.col("b").mean().alias("billed"),
        pl.col("u").max().alias("used"),
    )
    answer: list[tuple[Any, ...]] = found.sort("mb", "cold").collect(engine="streaming").rows()
    return answer


if __name__ == "__main__":
    name, path, threads, way = sys.argv[1:]
    answer = {"duckdb": duckdb_answer, "polars": polars_answer}[name](path, int(threads), way)
    print(sum(row[2] for row in answer), answer[0])
