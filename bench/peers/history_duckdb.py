#!/usr/bin/env python3
"""The feature table of history.py in DuckDB SQL. Usage: history_duckdb.py --data DIR --out FILE [--form segment|segment1|day|naive]

segment1 is segment with one pass over the events: (account, user, segment) first, and (account, segment) from that.
"""
import datetime as dt

import duckdb

import history as w

DAY = f"(epoch_us(occurred_at) // {w.DAY_US})::INT"
LAST = f"{w.EPOCH + dt.timedelta(w.moments()[-1])} 00:00:00+00"

# name -> (from events, from a table that already has the column)
SUMS = {"n": "count(*)", **{k: f"count(*) FILTER (event = '{k}')" for k in w.KINDS8},
        "api_quantity": "coalesce(sum(quantity) FILTER (event = 'api_call'), 0)", "seconds": "sum(seconds)"}
REST = {"quantity_max": ("max(quantity)", "max"), "last_login": ("max(day) FILTER (event = 'login')", "max"),
        "first_day": ("min(day)", "min")}


def from_events(extra=""):
    sums = [f"{e}::{'DOUBLE' if n == 'seconds' else 'INT'} AS {n}" for n, e in SUMS.items()]
    return ", ".join(sums + [f"{e} AS {n}" for n, (e, _) in REST.items()]) + extra


def from_table(extra=""):
    sums = [f"sum({n})::{'DOUBLE' if n == 'seconds' else 'INT'} AS {n}" for n in SUMS]
    return ", ".join(sums + [f"{f}({n}) AS {n}" for n, (_, f) in REST.items()]) + extra


def windowed(flags, days):
    """Aggregates of the windows out of rows of (account, day or segment); days is the distinct-day expression."""
    out = []
    for n in w.WINDOWS:
        f = flags[n]
        out += [f"sum({c}) FILTER ({f}) AS {c}_{n}" for c in ("login", "invite", "error", "api_quantity", "seconds")]
        out.append(f"{days} FILTER ({f}) AS days_{n}")
    f = flags[28]
    out += [f"sum(n) FILTER ({f}) AS n_28", f"sum(login) FILTER ({flags['p28']}) AS login_p28",
            f"max(quantity_max) FILTER ({f}) AS quantity_max_28"]
    out += [f"sum({k}) FILTER ({f}) AS n_{k}_28" for k in w.KINDS8]
    return ", ".join(out)


FINAL = {c: f"coalesce({c}, 0)::BIGINT" for c in w.columns()[2:]} | {
    **{f"seconds_{n}": f"coalesce(seconds_{n}, 0)::DOUBLE" for n in w.WINDOWS},
    "account_id": "keys.name", "t": "DATE '1970-01-01' + p.t",
    "login_trend": "coalesce(login_28, 0)::DOUBLE / nullif(login_p28, 0)",
    "days_since_login": "p.t - last_login", "days_since_first": "p.t - first_day",
    "quantity_max_28": "quantity_max_28", "seconds_mean_28": "seconds_28 / n_28",
    "error_share_28": "error_28::DOUBLE / n_28", "events_total": "coalesce(c.n, 0)::BIGINT",
    "plan": "plan", "mrr": "mrr", "months": "months", "label": "label"}

POPULATION = f"""CREATE TEMP TABLE pop AS
SELECT account_id, t, m, plan, mrr, (t * {w.DAY_US} - epoch_us(started_at)) / {float(w.DAY_US)} / {w.MONTH_DAYS} AS months,
       coalesce(epoch_us(ended_at) <= (t + 90) * {w.DAY_US}, false)::INT AS label
FROM subscriptions JOIN moments
  ON epoch_us(started_at) <= t * {w.DAY_US} AND (ended_at IS NULL OR epoch_us(ended_at) > t * {w.DAY_US})"""

# All time before t: per account and number of the first moment after it, then running totals, then an as-of join.
RUNNING = """CREATE TEMP TABLE running AS
SELECT account_id, m, sum(n) OVER w AS n, max(last_login) OVER w AS last_login, min(first_day) OVER w AS first_day
FROM (SELECT account_id, m, sum(n)::BIGINT AS n, max(last_login) AS last_login, min(first_day) AS first_day FROM {0} GROUP BY ALL)
WINDOW w AS (PARTITION BY account_id ORDER BY m)"""

WRITE = "COPY (SELECT " + ", ".join(f"{FINAL[c]} AS {c}" for c in w.columns()) + """
FROM pop p JOIN keys USING (account_id) LEFT JOIN win USING (account_id, t) LEFT JOIN users USING (account_id, t)
ASOF LEFT JOIN running c ON c.account_id = p.account_id AND c.m <= p.m) TO '{0}' (FORMAT parquet)"""


def segment(con, lap, first_day, one_pass=False):
    days, cover, after = w.segments(first_day)
    table(con, "days", "day INT, seg INT, bit INT", days)
    table(con, "cover", "seg INT, t INT, last INT, w7 BOOL, w28 BOOL, p28 BOOL, w90 BOOL", cover)
    table(con, "after", "seg INT, m INT", after)
    events = f"(SELECT * EXCLUDE (occurred_at), {DAY} AS day FROM events WHERE occurred_at < TIMESTAMPTZ '{LAST}') JOIN days USING (day)"
    bits = ", bit_or(1::BIGINT << bit) AS days"
    if one_pass:
        keyed(con, "aus", f"SELECT name, user_id, seg, {from_events(bits)} FROM {events} GROUP BY ALL")
        lap("account_user_segment")
        con.execute(f"CREATE TEMP TABLE acs AS SELECT account_id, seg, {from_table(', bit_or(days) AS days')} FROM aus GROUP BY ALL")
        lap("account_segment")
    else:
        keyed(con, "acs", f"SELECT name, seg, {from_events(bits)} FROM {events} GROUP BY ALL")
        lap("account_segment")
        keyed(con, "aus", f"SELECT DISTINCT name, user_id, seg FROM {events}")
        lap("account_user_segment")
    flags = {7: "w7", 28: "w28", 90: "w90", "p28": "p28"}
    con.execute(f"CREATE TEMP TABLE win AS SELECT account_id, t, {windowed(flags, 'sum(bit_count(days))')} FROM acs JOIN cover USING (seg) GROUP BY ALL")
    lap("windows")
    con.execute("""CREATE TEMP TABLE users AS
    SELECT account_id, t, count(*) FILTER (w7) AS users_7, count(*) FILTER (w28) AS users_28, count(*) AS users_90
    FROM (SELECT account_id, seg, lead(seg) OVER (PARTITION BY account_id, user_id ORDER BY seg) AS next FROM aus)
    JOIN cover USING (seg) WHERE next IS NULL OR next > last GROUP BY ALL""")
    lap("users")
    con.execute(RUNNING.format("acs JOIN after USING (seg)"))
    lap("running")


def day(con, lap, first_day):
    events = f"(SELECT *, {DAY} AS day FROM events WHERE occurred_at < TIMESTAMPTZ '{LAST}')"
    keyed(con, "acs", f"SELECT name, day, {from_events()} FROM {events} GROUP BY ALL")
    lap("account_day")
    keyed(con, "aus", f"SELECT DISTINCT name, user_id, day FROM {events}")
    lap("account_user_day")
    spans(con, first_day)
    flags = {7: "day >= t - 7", 28: "day >= t - 28", 90: "day >= t - 90", "p28": "day >= t - 56 AND day < t - 28"}
    con.execute(f"CREATE TEMP TABLE win AS SELECT account_id, t, {windowed(flags, 'count(*)')} FROM acs JOIN spans USING (day) GROUP BY ALL")
    lap("windows")
    con.execute("""CREATE TEMP TABLE users AS
    SELECT account_id, t, count(*) FILTER (day >= t - 7) AS users_7, count(*) FILTER (day >= t - 28) AS users_28, count(*) AS users_90
    FROM (SELECT account_id, t, user_id, max(day) AS day FROM aus JOIN spans USING (day) GROUP BY ALL) GROUP BY ALL""")
    lap("users")
    con.execute(RUNNING.format("(SELECT *, (SELECT count(*) FROM moments WHERE t <= day)::INT AS m FROM acs)"))
    lap("running")


def naive(con, lap, first_day):
    events = f"(SELECT *, {DAY} AS day FROM events WHERE occurred_at < TIMESTAMPTZ '{LAST}')"
    spans(con, first_day)
    out = []
    for n in w.WINDOWS:
        f = f"day >= t - {n}"
        out += [f"count(*) FILTER (event = '{k}' AND {f}) AS {k}_{n}" for k in ("login", "invite", "error")]
        out += [f"sum(quantity) FILTER (event = 'api_call' AND {f}) AS api_quantity_{n}", f"sum(seconds) FILTER ({f}) AS seconds_{n}",
                f"count(DISTINCT day) FILTER ({f}) AS days_{n}", f"count(DISTINCT user_id) FILTER ({f}) AS users_{n}"]
    f = "day >= t - 28"
    out += [f"count(*) FILTER (event = '{k}' AND {f}) AS n_{k}_28" for k in w.KINDS8]
    out += [f"nullif(count(*) FILTER ({f}), 0) AS n_28", f"max(quantity) FILTER ({f}) AS quantity_max_28",
            "count(*) FILTER (event = 'login' AND day >= t - 56 AND day < t - 28) AS login_p28"]
    keyed(con, "win", f"SELECT name, t, {', '.join(out)} FROM {events} JOIN spans USING (day) GROUP BY ALL")
    con.execute("CREATE TEMP TABLE users AS SELECT account_id, t FROM win LIMIT 0")
    lap("windows")
    con.execute(RUNNING.format(f"(SELECT account_id, m, count(*) AS n, max(day) FILTER (event = 'login') AS last_login, min(day) AS first_day FROM "
                           f"(SELECT *, (SELECT count(*) FROM moments WHERE t <= day)::INT AS m FROM {events} JOIN keys USING (name)) GROUP BY ALL)"))
    lap("running")


def keyed(con, name, query):
    con.execute(f"CREATE TEMP TABLE {name} AS SELECT keys.account_id, q.* EXCLUDE (name) FROM ({query}) q JOIN keys USING (name)")


def spans(con, first_day):
    table(con, "spans", "day INT, t INT", [(d, t) for t in w.moments() for d in range(max(first_day, t - 90), t)])


def table(con, name, columns, rows):
    con.execute(f"CREATE TEMP TABLE {name} ({columns})")
    con.execute(f"INSERT INTO {name} VALUES " + ", ".join(str(r).replace("True", "true").replace("False", "false") for r in rows))


def main():
    forms = {"segment": segment, "segment1": lambda *a: segment(*a, one_pass=True), "day": day, "naive": naive}
    a = w.arguments(__doc__, list(forms))
    clock = w.Laps(engine="duckdb", version=duckdb.__version__, form=a.form, data=a.data.name, threads=a.threads)
    con = duckdb.connect()
    con.execute(f"SET threads = {a.threads}")
    con.execute("SET preserve_insertion_order = false")
    con.execute("SET memory_limit = '18GB'")
    con.execute(f"SET temp_directory = '{a.out}.tmp'")
    # Small integer keys instead of the names in all that follows the first GROUP BYs; in those, names are faster than a look-up per event.
    con.execute(f"CREATE TEMP TABLE keys AS SELECT account_id AS name, row_number() OVER ()::INT AS account_id FROM '{a.data}/accounts.parquet'")
    con.execute(f"CREATE TEMP VIEW events AS SELECT account_id AS name, * EXCLUDE (account_id) FROM '{a.data}/events.parquet'")
    con.execute(f"CREATE TEMP VIEW subscriptions AS SELECT keys.account_id, f.* EXCLUDE (account_id) FROM '{a.data}/subscriptions.parquet' f JOIN keys ON f.account_id = keys.name")
    table(con, "moments", "t INT, m INT", [(t, m) for m, t in enumerate(w.moments())])
    con.execute(POPULATION)
    first_day = con.execute(f"SELECT epoch_us(min(occurred_at)) // {w.DAY_US} FROM '{a.data}/events.parquet'").fetchall()[0][0]
    clock.lap("population")
    forms[a.form](con, clock.lap, int(first_day))
    con.execute(WRITE.format(a.out))
    clock.lap("write")
    clock.done()


if __name__ == "__main__":
    main()
