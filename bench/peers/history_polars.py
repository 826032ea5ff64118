#!/usr/bin/env python3
"""The feature table of history.py in polars, lazy with the streaming engine.

Usage: history_polars.py --data DIR --out FILE [--form segment|segment1|day]

segment1 is segment with one pass over the events: (account, user, segment) first, and (account, segment) from that.
"""
import os
import sys

os.environ["POLARS_MAX_THREADS"] = sys.argv[sys.argv.index("--threads") + 1] if "--threads" in sys.argv[:-1] else "2"

import polars as pl  # noqa: E402

import history as w  # noqa: E402

c = pl.col
I32 = pl.Int32
KEY = c("account_id").cast(pl.Categorical).to_physical().alias("key")
CODES = dict(zip(w.KINDS8, pl.Series(w.KINDS8, dtype=pl.Categorical).to_physical()))


def run(lazy):
    return lazy.collect(engine="streaming")


def us(name):
    return c(name).cast(pl.Int64)


def from_events(extra=()):
    is_kind = {k: c("event") == CODES[k] for k in w.KINDS8}
    return [pl.len().cast(I32).alias("n"), *(e.sum().cast(I32).alias(k) for k, e in is_kind.items()),
            pl.when(is_kind["api_call"]).then(c("quantity")).otherwise(0).sum().cast(I32).alias("api_quantity"),
            c("seconds").sum(), c("quantity").max().alias("quantity_max"),
            pl.when(is_kind["login"]).then(c("day")).max().alias("last_login"), c("day").min().alias("first_day"), *extra]


def from_table(extra=()):
    return [*(c(n).sum() for n in ("n", *w.KINDS8, "api_quantity", "seconds")),
            c("quantity_max").max(), c("last_login").max(), c("first_day").min(), *extra]


def windowed(flags, days):
    """Aggregates of the windows; each sum is over a masked column, which streams."""
    out = []
    for n in w.WINDOWS:
        def masked(e, f=flags[n]):
            return pl.when(f).then(e).otherwise(0).sum()
        out += [masked(c(k)).alias(f"{k}_{n}") for k in ("login", "invite", "error", "api_quantity", "seconds")]
        out.append(masked(days).alias(f"days_{n}"))
    f = flags[28]
    out += [pl.when(f).then(c(k)).otherwise(0).sum().alias(f"n_{k}_28") for k in w.KINDS8]
    return out + [pl.when(f).then(c("n")).otherwise(0).sum().alias("n_28"),
                  pl.when(flags["p28"]).then(c("login")).otherwise(0).sum().alias("login_p28"),
                  pl.when(f).then(c("quantity_max")).max().alias("quantity_max_28")]


class Work:
    def __init__(self, data, lap):
        self.lap = lap
        self.moments = pl.DataFrame({"t": w.moments(), "m": range(24)}, schema={"t": I32, "m": I32})
        # The codes of the (global) categories serve as small integer keys, with no look-up per event.
        self.keys = pl.read_parquet(data / "accounts.parquet", columns=["account_id"]).with_columns(KEY, c("account_id").cast(pl.String))
        self.raw = pl.scan_parquet(data / "events.parquet")
        self.first_day = int(run(self.raw.select(us("occurred_at").first() // w.DAY_US)).item())  # the file is sorted
        last = self.moments["t"].max() * w.DAY_US
        self.events = self.raw.filter(c("occurred_at") < pl.lit(last).cast(pl.Datetime("us", "UTC"))).with_columns(
            (us("occurred_at") // w.DAY_US).cast(I32).alias("day"), KEY, c("event").to_physical())
        self.population(pl.scan_parquet(data / "subscriptions.parquet").with_columns(KEY))

    def population(self, subscriptions):
        t = c("t").cast(pl.Int64)
        end = us("ended_at")
        self.pop = run(subscriptions.join(self.moments.lazy(), how="cross").filter(
            us("started_at") <= t * w.DAY_US, end.is_null() | (end > t * w.DAY_US)).select(
            "key", "t", "m", c("plan").cast(pl.String), "mrr",
            ((t * w.DAY_US - us("started_at")) / float(w.DAY_US) / w.MONTH_DAYS).alias("months"),
            (end <= (t + 90) * w.DAY_US).fill_null(False).cast(I32).alias("label")))
        self.lap("population")

    def running(self, lazy):
        """All time before t: rows of (key, m, ...) to running totals."""
        each = lazy.group_by("key", "m").agg(c("n").sum(), c("last_login").max(), c("first_day").min())
        self.past = run(each.sort("key", "m").with_columns(
            c("n").cum_sum().over("key").alias("events_total"),
            c("last_login").cum_max().forward_fill().over("key"), c("first_day").cum_min().over("key")).drop("n"))
        self.lap("running")

    def segment(self, one_pass=False):
        days, cover, after = w.segments(self.first_day)
        days = pl.LazyFrame(days, schema={"day": I32, "seg": I32, "bit": pl.Int64}, orient="row").with_columns(
            pl.lit(2, pl.Int64).pow(c("bit")).cast(pl.Int64).alias("bit"))
        cover = pl.LazyFrame(cover, schema={"seg": I32, "t": I32, "last": I32, **{f: pl.Boolean for f in ("w7", "w28", "p28", "w90")}}, orient="row")
        after = pl.LazyFrame(after, schema={"seg": I32, "m": I32}, orient="row")
        events = self.events.join(days, on="day")
        bits = [c("bit").bitwise_or().alias("days")]
        if one_pass:
            aus = run(events.group_by("key", "user_id", "seg").agg(from_events(bits)))
            self.lap("account_user_segment")
            acs = run(aus.lazy().group_by("key", "seg").agg(from_table([c("days").bitwise_or()])))
            self.lap("account_segment")
            aus = aus.select("key", "user_id", "seg")
        else:
            acs = run(events.group_by("key", "seg").agg(from_events(bits)))
            self.lap("account_segment")
            aus = run(events.select("key", "user_id", "seg").unique())
            self.lap("account_user_segment")
        acs = acs.with_columns(c("days").bitwise_count_ones().cast(I32))
        flags = {7: c("w7"), 28: c("w28"), 90: c("w90"), "p28": c("p28")}
        self.win = run(acs.lazy().join(cover, on="seg").group_by("key", "t").agg(windowed(flags, c("days"))))
        self.lap("windows")
        aus = aus.sort("key", "user_id", "seg")
        same = (c("key") == c("key").shift(-1)) & (c("user_id") == c("user_id").shift(-1))
        aus = aus.select("key", "seg", pl.when(same).then(c("seg").shift(-1)).otherwise(1 << 20).cast(I32).alias("next"))
        self.users = run(aus.lazy().join(cover, on="seg").filter(c("next") > c("last")).group_by("key", "t").agg(
            c("w7").sum().alias("users_7"), c("w28").sum().alias("users_28"), pl.len().alias("users_90")))
        self.lap("users")
        self.running(acs.lazy().join(after, on="seg"))

    def day(self):
        acs = run(self.events.group_by("key", "day").agg(from_events()))
        self.lap("account_day")
        aus = run(self.events.select("key", "user_id", "day").unique())
        self.lap("account_user_day")
        spans = pl.LazyFrame([(d, t) for t in w.moments() for d in range(max(self.first_day, t - 90), t)],
                             schema={"day": I32, "t": I32}, orient="row")
        age = c("t") - c("day")
        flags = {7: age <= 7, 28: age <= 28, 90: age <= 90, "p28": (age > 28) & (age <= 56)}
        self.win = run(acs.lazy().join(spans, on="day").group_by("key", "t").agg(windowed(flags, pl.lit(1, I32))))
        self.lap("windows")
        self.users = run(aus.lazy().join(spans, on="day").group_by("key", "t", "user_id").agg(c("day").max()).group_by("key", "t").agg(
            (age <= 7).sum().alias("users_7"), (age <= 28).sum().alias("users_28"), pl.len().alias("users_90")))
        self.lap("users")
        after = pl.LazyFrame([(d, sum(t <= d for t in w.moments())) for d in range(self.first_day, w.moments()[-1])],
                             schema={"day": I32, "m": I32}, orient="row")
        self.running(acs.lazy().join(after, on="day"))

    def write(self, path):
        pop = self.pop.lazy().join(self.win.lazy(), on=["key", "t"], how="left").join(self.users.lazy(), on=["key", "t"], how="left")
        past = self.past.lazy().sort("m")
        out = pop.sort("m").join_asof(past, on="m", by="key", check_sortedness=False).join(self.keys.lazy(), on="key")
        f64 = pl.Float64
        null_if_0 = [pl.when(c(n) != 0).then(c(n)).alias(n) for n in ("n_28", "login_p28")]
        nullable = {"login_trend": c("login_28") / c("login_p28").cast(f64), "days_since_login": c("t") - c("last_login"),
                    "days_since_first": c("t") - c("first_day"), "quantity_max_28": c("quantity_max_28"),
                    "seconds_mean_28": c("seconds_28") / c("n_28"), "error_share_28": c("error_28") / c("n_28").cast(f64),
                    "t": c("t").cast(pl.Date)}
        asis = {"account_id", "plan", "mrr", "months", "label"}
        out.with_columns(null_if_0).select(
            nullable[k].alias(k) if k in nullable else c(k) if k in asis else
            c(k).fill_null(0).cast(f64 if k.startswith("seconds") else pl.Int64) for k in w.columns()
        ).sink_parquet(path, engine="streaming")
        self.lap("write")


def main():
    a = w.arguments(__doc__, ["segment", "segment1", "day"])
    clock = w.Laps(engine="polars", version=pl.__version__, form=a.form, data=a.data.name, threads=pl.thread_pool_size())
    work = Work(a.data, clock.lap)
    if a.form == "day":
        work.day()
    else:
        work.segment(one_pass=a.form == "segment1")
    work.write(a.out)
    clock.done()


if __name__ == "__main__":
    main()
