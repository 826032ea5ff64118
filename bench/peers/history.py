"""The work that history_duckdb.py and history_polars.py do, and what they share.

Input: events.parquet, accounts.parquet and subscriptions.parquet of history_gen.py. Output: one Parquet file,
one row per (account, moment) of the population, in any order. Wall time is that of the whole process:
start, imports, reading the Parquet files, the work, writing the Parquet file (the engine's default
compression). Checking the file is not timed.

Moments t: 00:00 UTC on the first of each month, 2024-02 to 2026-01 (24 of them).
Population at t: accounts with a subscription where started_at <= t and (ended_at is null or ended_at > t).
    Periods of an account never overlap, so there is at most one: the current subscription.
Facts: only events with occurred_at < t. The window of w days is t - w days <= occurred_at < t; a day is a
    UTC calendar day, and a month is 30.4375 days.

Columns:
  account_id      string
  t               date
  login_W, invite_W, error_W       number of events of that kind in W days, for W = 7, 28, 90
  api_quantity_W  sum of quantity over api_call
  seconds_W       sum of seconds over all events
  days_W          distinct days with any event
  users_W         distinct user_id with any event
  login_trend     login in the last 28 days / login in the 28 days before; null if the latter is 0
  days_since_login   t - day of the last login, in days (so at least 1); null if there was none
  days_since_first   t - day of the first event, in days; null if there was none
  events_total    number of events before t
  quantity_max_28    largest quantity of any event in 28 days; null if there was none
  seconds_mean_28    mean of seconds over the events in 28 days; null if there was none
  error_share_28     error / events in 28 days; null if there was none
  n_KIND_28       number of events in 28 days, for the eight commonest kinds (fixed list KINDS8 below)
  plan, mrr       of the current subscription
  months          (t - started_at of the current subscription) in microseconds / 86400e6 / 30.4375
  label           1 if the current subscription's ended_at is within (t, t + 90 days], else 0 (a change
                  of plan ends a period, so it counts too)
Counts and sums are 0, not null, where there was nothing.

Three formulations:
  naive    join every event to the moments whose 90 days it falls in (about threefold), one GROUP BY
           (account, t) with filters and distinct counts; a second pass for the facts of all time.
  day      aggregate to (account, day) and to distinct (account, user, day); join those to the moments.
           Right for any moments at midnight, also when they differ per account.
  segment  the edges t, t-7, t-28, t-56 and t-90 of all moments cut time into at most 120 segments; every
           window of every moment is a run of whole segments. Aggregate to (account, segment), with the
           active days as a bit mask, and to (account, user, segment); a user counts in a window if the
           user's last segment before t lies in it, so each (user, segment) meets only the moments before
           the user's next segment. Right for any few moments that all accounts share.
"""
import argparse
import datetime as dt
import json
import pathlib
import resource
import sys
import time

DAY_US = 86_400_000_000
MONTH_DAYS = 30.4375
WINDOWS = (7, 28, 90)
KINDS8 = ("login", "api_call", "report", "export", "error", "invite", "ticket", "comment")
PLANS = ("free", "starter", "team", "enterprise")
EPOCH = dt.date(1970, 1, 1)


def moments():
    """The moments as days since 1970-01-01."""
    return [(dt.date(2024 + m // 12, m % 12 + 1, 1) - EPOCH).days for m in range(1, 25)]


def segments(first_day):
    """Cuts the days from first_day to the last moment. Returns (days, cover, after):

    days   rows (day, seg, bit): the segment of each day, and the day's place in that segment
    cover  rows (seg, t, last, w7, w28, p28, w90): each segment in the 90 days before t; last is the last
           segment before t, w7 etc. say whether the segment is in the window, p28 is the 28 days before w28
    after  rows (seg, m): the number of the first moment after the segment
    """
    ts = moments()
    edges = sorted({first_day} | {e for t in ts for w in (0, 7, 28, 56, 90) if (e := t - w) > first_day})
    days = [(d, s, d - a) for s, (a, b) in enumerate(zip(edges, edges[1:])) for d in range(a, b)]
    assert max(bit for _, _, bit in days) < 63, "cut the segments further: a day is a bit of an int64"
    starts = edges[:-1]
    cover, after = [], []
    for s, a in enumerate(starts):
        after.append((s, next(m for m, t in enumerate(ts) if t > a)))
        cover += [(s, t, max(i for i, b in enumerate(starts) if b < t), a >= t - 7, a >= t - 28,
                   t - 56 <= a < t - 28, a >= t - 90) for t in ts if t - 90 <= a < t]
    return days, cover, after


def columns():
    """The output's columns, in order."""
    per_window = [f"{c}_{w}" for w in WINDOWS
                  for c in ("login", "invite", "error", "api_quantity", "seconds", "days", "users")]
    return ["account_id", "t", *per_window, "login_trend", "days_since_login", "days_since_first", "events_total",
            "quantity_max_28", "seconds_mean_28", "error_share_28", *(f"n_{k}_28" for k in KINDS8),
            "plan", "mrr", "months", "label"]


def arguments(doc, forms):
    ap = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--data", type=pathlib.Path, required=True, help="folder with the three Parquet files")
    ap.add_argument("--out", type=pathlib.Path, required=True, help="Parquet file to write")
    ap.add_argument("--form", choices=forms, default=forms[0])
    ap.add_argument("--threads", type=int, default=2)
    return ap.parse_args()


class Laps:
    """Wall time of the parts of a run, printed as one JSON line at the end."""

    def __init__(self, **about):
        self.about, self.laps, self.at = about, {}, time.perf_counter()

    def lap(self, name):
        now = time.perf_counter()
        self.laps[name], self.at = round(now - self.at, 3), now

    def done(self, **more):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({**self.about, "laps": self.laps, "rss_mib": peak // 1024, **more}), file=sys.stdout, flush=True)
