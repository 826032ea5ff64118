"""Runs queries of tables in Parquet files and writes the answers as Parquet: warehouse.py duckdb|spark TASKS.json."""
import json
import sys

import pyarrow.parquet as pq


def duckdb(tasks):
    import duckdb

    for t in tasks:
        con = duckdb.connect()
        con.execute("SET memory_limit = '1GB'")
        con.execute("SET threads = 2")
        con.execute("SET timezone = 'America/Caracas'")
        for name, path in t["tables"].items():
            con.execute(f"""CREATE TABLE "{name}" AS SELECT * FROM '{path}'""")
        pq.write_table(con.execute(t["query"]).to_arrow_table(), t["out"])


def spark(tasks):
    from pyspark.sql import SparkSession

    session = (SparkSession.builder.master("local[2]").appName("features")
               .config("spark.sql.session.timeZone", "UTC").config("spark.ui.enabled", "false")
               .config("spark.sql.shuffle.partitions", "2").config("spark.default.parallelism", "2")
               .config("spark.driver.host", "127.0.0.1").config("spark.driver.bindAddress", "127.0.0.1")
               # Plans of many small steps over a few rows: compiling them is nearly all the work.
               .config("spark.sql.codegen.wholeStage", "false").config("spark.sql.codegen.factoryMode", "NO_CODEGEN")
               .config("spark.sql.adaptive.enabled", "false").getOrCreate())
    session.sparkContext.setLogLevel("ERROR")
    for t in tasks:
        for name, path in t["tables"].items():
            session.read.parquet(path).createOrReplaceTempView(name)
        pq.write_table(session.sql(t["query"]).toArrow(), t["out"])
    session.stop()


{"duckdb": duckdb, "spark": spark}[sys.argv[1]](json.load(open(sys.argv[2])))
