#!/usr/bin/env python3
"""The feature table of history.py straight from its definition, in plain Python on microseconds, for small data.

Usage: history_brute.py --data DIR --out FILE   (every (account, moment) reads all events of the account: 100,000 events at most)
"""
import bisect
import collections
import statistics

import pyarrow as pa
import pyarrow.parquet as pq

import history as w


def micros(table, name):
    return table[name].cast(pa.int64()).to_pylist()


def row(t, facts):
    """The features at t (days) from an account's events before t: (microseconds, kind, quantity, seconds, user)."""
    def window(days, kind=None, ago=0):
        lo, hi = (t - days) * w.DAY_US, (t - ago) * w.DAY_US
        return [f for f in facts if lo <= f[0] < hi and kind in (None, f[1])]

    out = {}
    for n in w.WINDOWS:
        every = window(n)
        for kind in ("login", "invite", "error"):
            out[f"{kind}_{n}"] = len(window(n, kind))
        out[f"api_quantity_{n}"] = sum(f[2] for f in window(n, "api_call"))
        out[f"seconds_{n}"] = float(sum(f[3] for f in every))
        out[f"days_{n}"] = len({f[0] // w.DAY_US for f in every})
        out[f"users_{n}"] = len({f[4] for f in every})
    before = len(window(56, "login", ago=28))
    logins = [f[0] // w.DAY_US for f in facts if f[1] == "login"]
    out |= {"login_trend": out["login_28"] / before if before else None,
            "days_since_login": t - max(logins) if logins else None,
            "days_since_first": t - min(f[0] // w.DAY_US for f in facts) if facts else None,
            "events_total": len(facts)}
    month = window(28)
    out |= {"quantity_max_28": max((f[2] for f in month), default=None),
            "seconds_mean_28": statistics.fmean(f[3] for f in month) if month else None,
            "error_share_28": out["error_28"] / len(month) if month else None}
    return out | {f"n_{k}_28": len(window(28, k)) for k in w.KINDS8}


def main():
    a = w.arguments(__doc__, ["brute"])
    e, s = (pq.read_table(a.data / f"{n}.parquet") for n in ("events", "subscriptions"))
    facts = collections.defaultdict(list)
    for account, *fact in zip(e["account_id"].to_pylist(), micros(e, "occurred_at"), e["event"].to_pylist(),
                              e["quantity"].to_pylist(), e["seconds"].to_pylist(), e["user_id"].to_pylist()):
        facts[account].append(fact)
    rows = []
    for account, start, end, plan, mrr in zip(s["account_id"].to_pylist(), micros(s, "started_at"), micros(s, "ended_at"),
                                              s["plan"].to_pylist(), s["mrr"].to_pylist()):
        for t in w.moments():
            now = t * w.DAY_US
            if start <= now and (end is None or end > now):
                known = facts[account][:bisect.bisect_left(facts[account], now, key=lambda f: f[0])]
                rows.append({"account_id": account, "t": t, **row(t, known), "plan": plan, "mrr": mrr,
                             "months": (now - start) / w.DAY_US / w.MONTH_DAYS,
                             "label": int(end is not None and end <= (t + 90) * w.DAY_US)})
    table = pa.table({c: [r[c] for r in rows] for c in w.columns()})
    pq.write_table(table.set_column(1, "t", table["t"].cast(pa.int32()).cast(pa.date32())), a.out)


if __name__ == "__main__":
    main()
