#!/usr/bin/env python3
"""A seeded SaaS history as Parquet: events, accounts, subscriptions.

Usage: history_gen.py --out DIR --events 5000000 [--accounts 100000] [--seed 11]

History: [2024-01-01, 2026-04-01) UTC, 27 months. Files:
  events.parquet         account_id (string "A-0000001", dictionary), occurred_at (timestamp[us, UTC]),
                         event (string, dictionary, 12 kinds, shares ~ 1/rank), quantity (int32),
                         seconds (float64), user_id (int32); sorted by occurred_at; no nulls
  accounts.parquet       account_id, created_at, industry (55), size (5), region (6)
  subscriptions.parquet  account_id, started_at, ended_at (nullable), plan (4), mrr; 1 to 3 periods per
                         account, never overlapping; a period may start at the moment the one before ended

Activity per account is log-normal (sigma 1.6), so heavy-tailed; an account has events only between its
creation and the end of its last period, and fewer in the two months before that end. Everything but
the events depends on the seed and the number of accounts alone. Made month by month, so memory stays
small at any size.
"""
import argparse
import json
import pathlib
import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

KINDS = ["login", "api_call", "report", "export", "error", "invite", "ticket", "comment",
         "upload", "settings", "billing", "webhook"]
PLANS = ["free", "starter", "team", "enterprise"]
SIZES = ["1-10", "11-50", "51-200", "201-1000", "1000+"]
REGIONS = ["na", "emea", "latam", "apac", "anz", "nordics"]
DAY = 86_400_000_000  # microseconds
UTC = pa.timestamp("us", tz="UTC")


def micros(text):
    return int(np.datetime64(text, "us").astype(np.int64))


START, END = micros("2024-01-01"), micros("2026-04-01")
MONTHS = np.arange(np.datetime64("2024-01", "M"), np.datetime64("2026-05", "M")).astype("datetime64[us]").astype(np.int64)


def dictionary(index, values):
    return pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int32)), pa.array(values))


def write(path, table):
    pq.write_table(table, path, row_group_size=1_000_000, dictionary_pagesize_limit=8 << 20)


def make_accounts(rng, n):
    """Accounts and their 1 to 3 subscription periods, in microseconds; end = END where still open."""
    created = rng.integers(micros("2023-07-01"), micros("2026-03-01"), n)
    size = rng.choice(5, n, p=[.38, .28, .18, .11, .05])
    weight = np.exp(1.6 * rng.standard_normal(n)) * (1 + size)
    users = np.clip(1 + rng.poisson(2 * np.sqrt(weight)), 1, 400)
    ids = np.array([f"A-{i:07d}" for i in range(1, n + 1)])
    accounts = pa.table({
        "account_id": ids, "created_at": pa.array(created, UTC),
        "industry": dictionary(rng.integers(0, 55, n), [f"industry_{i:02d}" for i in range(1, 56)]),
        "size": dictionary(size, SIZES), "region": dictionary(rng.integers(0, 6, n), REGIONS)})

    periods = 1 + (rng.random(n) < .35) + (rng.random(n) < .12)
    rows, begin, plan = [], created + rng.integers(0, 14 * DAY, n), np.minimum(rng.integers(0, 3, n) + size // 3, 3)
    live, last_end = np.arange(n), np.full(n, 0)
    for k in range(3):
        length = (rng.exponential(420, len(live)) * DAY).astype(np.int64) + 30 * DAY
        end = begin[live] + length
        ended = (end < END) & ((k + 1 < periods[live]) | (rng.random(len(live)) < .75))
        mrr = np.round(np.array([0, 49, 199, 1200])[plan[live]] * rng.uniform(.8, 3, len(live)), 2)
        rows.append((live, begin[live], np.where(ended, end, -1), plan[live].copy(), mrr))
        last_end[live] = np.where(ended, end, END)
        more = ended & (k + 1 < periods[live])
        gap = np.where(rng.random(len(live)) < .5, 0, rng.integers(1, 60 * DAY, len(live)))
        begin[live] = end + gap
        plan[live] = np.clip(plan[live] + rng.integers(-1, 2, len(live)), 0, 3)
        live = live[more]
        live = live[begin[live] < END]
    who, start, end, which, mrr = (np.concatenate(c) for c in zip(*rows))
    order = np.lexsort((start, who))
    who, start, end, which, mrr = (c[order] for c in (who, start, end, which, mrr))
    subscriptions = pa.table({
        "account_id": ids[who], "started_at": pa.array(start, UTC), "ended_at": pa.array(end, UTC, mask=end < 0),
        "plan": dictionary(which, PLANS), "mrr": mrr})
    return ids, created, last_end, weight, users, accounts, subscriptions


def make_events(rng, path, n, ids, first, last, weight, users):
    base = np.concatenate(([0], np.cumsum(users)))[:-1]  # user_id is unique over all accounts
    spans = []  # per month: from, length and weight per account
    for lo, hi in zip(MONTHS[:-1], MONTHS[1:]):
        a, b = np.maximum(first, lo), np.minimum(last, hi)
        length = np.maximum(b - a, 0)
        fading = (last < END) & (b > last - 60 * DAY)
        spans.append((a, length, weight * length * np.where(fading, .45, 1)))
    mass = np.array([s[2].sum() for s in spans])
    counts = np.diff(np.round(np.concatenate(([0], np.cumsum(mass))) / mass.sum() * n).astype(np.int64))
    share = 1 / np.arange(1, len(KINDS) + 1)
    kind_cut = np.cumsum(share / share.sum())[:-1]
    writer, names, kinds = None, pa.array(ids), pa.array(KINDS)
    for (a, length, w), m in zip(spans, counts):
        cut = np.cumsum(w)
        acc = np.minimum(np.searchsorted(cut, rng.random(m) * cut[-1], side="right"), len(ids) - 1)
        at = a[acc] + (rng.random(m) * length[acc]).astype(np.int64)
        order = np.argsort(at, kind="stable")
        acc, at = acc[order], at[order]
        kind = np.searchsorted(kind_cut, rng.random(m), side="right")
        quantity = np.where(kind == 1, 1 + rng.exponential(40, m).astype(np.int32), 1).astype(np.int32)
        seconds = np.round(np.exp(rng.standard_normal(m) + .25 * kind), 3)
        user = (base[acc] + (users[acc] * rng.random(m) ** 2).astype(np.int64)).astype(np.int32)
        table = pa.table({
            "account_id": pa.DictionaryArray.from_arrays(pa.array(acc.astype(np.int32)), names),
            "occurred_at": pa.array(at, UTC),
            "event": pa.DictionaryArray.from_arrays(pa.array(kind.astype(np.int32)), kinds),
            "quantity": quantity, "seconds": seconds, "user_id": user})
        writer = writer or pq.ParquetWriter(path, table.schema, dictionary_pagesize_limit=8 << 20)
        writer.write_table(table, row_group_size=1_000_000)
    writer.close()


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--out", type=pathlib.Path, required=True)
    ap.add_argument("--events", type=int, required=True)
    ap.add_argument("--accounts", type=int, default=100_000)
    ap.add_argument("--seed", type=int, default=11)
    a = ap.parse_args()
    began = time.time()
    a.out.mkdir(parents=True, exist_ok=True)
    ids, first, last, weight, users, accounts, subscriptions = make_accounts(np.random.default_rng(a.seed), a.accounts)
    write(a.out / "accounts.parquet", accounts)
    write(a.out / "subscriptions.parquet", subscriptions)
    make_events(np.random.default_rng([a.seed, a.events]), a.out / "events.parquet", a.events, ids, first, last, weight, users)
    print(json.dumps({"what": "gen", "events": a.events, "accounts": a.accounts, "subscriptions": len(subscriptions),
                      "users": int(users.sum()), "seed": a.seed, "seconds": round(time.time() - began, 1),
                      "bytes": {f.name: f.stat().st_size for f in sorted(a.out.glob("*.parquet"))}}))


if __name__ == "__main__":
    main()
