-- The labels of model churn, by propensity for postgres.
-- Project 0886819f02a87c3d, timezone Europe/Berlin.
-- Times within are microseconds since 1970 UTC.

-- The records of source subscriptions that are facts: dated, and of an account.
WITH "subscriptions_records" AS (
  SELECT *,
    occurred AS arrived
  FROM (
    SELECT nullif(CAST(t."account_id" AS text) COLLATE "C", '') AS account,
      CAST(floor(extract(epoch FROM t."started_at") * 1000000) AS bigint) AS occurred,
      CAST(NULL AS bigint) AS told,
      CAST(NULL AS text) AS id,
      CAST(floor(extract(epoch FROM t."ended_at") * 1000000) AS bigint) AS ended,
      CASE WHEN CAST(t."mrr" AS float8) NOT IN (float8 'NaN') THEN CAST(t."mrr" AS float8) END AS "v_mrr"
    FROM "subscriptions" AS t
  ) AS r
  WHERE account IS NOT NULL
    AND occurred BETWEEN 631152000000000 AND CAST(floor(extract(epoch FROM now()) * 1000000) AS bigint)
    AND (ended IS NULL OR ended >= occurred)
),

-- Until when each version of a fact counts, and the total order of the account's facts.
"subscriptions_facts" AS (
  SELECT *,
    CAST(9223372036854775807 AS bigint) AS until,
    row_number() OVER facts AS seq
  FROM "subscriptions_records"
  WINDOW facts AS (PARTITION BY account ORDER BY occurred, arrived, id NULLS FIRST, "v_mrr" NULLS FIRST, ended NULLS FIRST)
),

-- From when on something is known of an account.
"since" AS (
  SELECT account, min(occurred) AS first
  FROM (
    SELECT account, occurred, arrived, until FROM "subscriptions_facts"
  ) AS x
  GROUP BY account
),

-- The records of source accounts that are facts: dated, and of an account.
"accounts_records" AS (
  SELECT *,
    occurred AS arrived
  FROM (
    SELECT nullif(CAST(t."account_id" AS text) COLLATE "C", '') AS account,
      CAST(floor(extract(epoch FROM t."created_at") * 1000000) AS bigint) AS occurred,
      CAST(NULL AS bigint) AS told,
      CAST(NULL AS text) AS id,
      CAST(t."plan" AS text) COLLATE "C" AS "v_plan"
    FROM "accounts" AS t
  ) AS r
  WHERE account IS NOT NULL
    AND occurred BETWEEN 631152000000000 AND CAST(floor(extract(epoch FROM now()) * 1000000) AS bigint)
),

-- The records of source events that are facts: dated, and of an account.
"events_records" AS (
  SELECT *,
    coalesce(told, occurred) AS arrived
  FROM (
    SELECT nullif(CAST(t."account_id" AS text) COLLATE "C", '') AS account,
      CAST(floor(extract(epoch FROM t."occurred_at") * 1000000) AS bigint) AS occurred,
      CAST(floor(extract(epoch FROM t."received_at") * 1000000) AS bigint) AS told,
      nullif(CAST(t."event_id" AS text) COLLATE "C", '') AS id,
      CAST(t."event" AS text) COLLATE "C" AS "v_event",
      CASE WHEN CAST(t."seconds" AS float8) NOT IN (float8 'NaN') THEN CAST(t."seconds" AS float8) END AS "v_seconds"
    FROM "raw"."app.events" AS t
  ) AS r
  WHERE account IS NOT NULL
    AND occurred BETWEEN 631152000000000 AND CAST(floor(extract(epoch FROM now()) * 1000000) AS bigint)
    AND coalesce(told, occurred) <= CAST(floor(extract(epoch FROM now()) * 1000000) AS bigint)
),

-- When history ends: the newest arrival.
"history" AS (
  SELECT max(instant) AS ends
  FROM (
    SELECT max(arrived) AS instant FROM "accounts_records"
    UNION ALL SELECT max(arrived) AS instant FROM "events_records"
    UNION ALL SELECT max(arrived) AS instant FROM "subscriptions_records"
    UNION ALL SELECT max(ended) AS instant FROM "subscriptions_records" WHERE ended <= CAST(floor(extract(epoch FROM now()) * 1000000) AS bigint)
  ) AS x
),

-- The numbers of the days or months of moments.
"numbers" AS (
  SELECT n
  FROM (
    SELECT 0 + ((lo - 0) / 1) * 1 AS lo, hi FROM (
      SELECT CAST(12 * extract(year FROM (TIMESTAMP 'epoch' + low * INTERVAL '1 microsecond')) + extract(month FROM (TIMESTAMP 'epoch' + low * INTERVAL '1 microsecond')) - 1 AS bigint) AS lo, CAST(12 * extract(year FROM (TIMESTAMP 'epoch' + high * INTERVAL '1 microsecond')) + extract(month FROM (TIMESTAMP 'epoch' + high * INTERVAL '1 microsecond')) - 1 AS bigint) AS hi FROM (
        SELECT CAST(extract(epoch FROM (TIMESTAMPTZ 'epoch' + low * INTERVAL '1 microsecond') AT TIME ZONE 'Europe/Berlin') * 1000000 AS bigint) AS low, CAST(extract(epoch FROM (TIMESTAMPTZ 'epoch' + high * INTERVAL '1 microsecond') AT TIME ZONE 'Europe/Berlin') * 1000000 AS bigint) AS high FROM (SELECT min(first) AS low, (SELECT ends FROM "history") AS high FROM "since") AS a
      ) AS b
    ) AS c
  ) AS d, generate_series(lo, greatest(lo, hi), CAST(1 AS bigint)) AS n
),

-- The first instants of days of Europe/Berlin.
"grid" AS (
  SELECT CASE WHEN CAST(extract(epoch FROM (TIMESTAMPTZ 'epoch' + a * INTERVAL '1 microsecond') AT TIME ZONE 'Europe/Berlin') * 1000000 AS bigint) <> w AND CAST(extract(epoch FROM (TIMESTAMPTZ 'epoch' + b * INTERVAL '1 microsecond') AT TIME ZONE 'Europe/Berlin') * 1000000 AS bigint) = w THEN b ELSE a END AS moment
  FROM (
    SELECT w, 2 * w - 86400000000 - CAST(extract(epoch FROM (TIMESTAMPTZ 'epoch' + (w - 86400000000) * INTERVAL '1 microsecond') AT TIME ZONE 'Europe/Berlin') * 1000000 AS bigint) AS a, 2 * w + 86400000000 - CAST(extract(epoch FROM (TIMESTAMPTZ 'epoch' + (w + 86400000000) * INTERVAL '1 microsecond') AT TIME ZONE 'Europe/Berlin') * 1000000 AS bigint) AS b
    FROM (SELECT CAST(make_date(CAST((n) / 12 AS int), CAST(n % 12 + 1 AS int), 1) - DATE '1970-01-01' AS bigint) * 86400000000 AS w FROM "numbers") AS x
  ) AS y
),

-- Each account at each midnight.
"candidates" AS (
  SELECT f.account, g.moment
  FROM "grid" AS g
  JOIN "since" AS f ON f.first <= g.moment
),

-- The moments: while an interval of subscriptions is true, as known at the moment.
"moments" AS (
  SELECT DISTINCT c.account, c.moment
  FROM "candidates" AS c
  JOIN "subscriptions_facts" AS w
    ON w.account = c.account AND w.occurred <= c.moment AND w.arrived <= c.moment AND w.until > c.moment AND (w.ended IS NULL OR w.ended > c.moment)
  WHERE c.moment <= (SELECT ends FROM "history")
),

-- The moments whose horizon, from opens up to closes, is over.
"horizons" AS (
  SELECT account, moment, opens, closes
  FROM (
    SELECT *, closes AS settled
    FROM (
      SELECT *, opens + 7776000000000 AS closes
      FROM (
        SELECT *, moment AS opens
        FROM "moments" AS m
      ) AS z3
    ) AS z3
  ) AS z3
  WHERE settled <= (SELECT ends FROM "history")
),

-- What is to be foretold, as known at the end of history.
"foretold" AS (
  SELECT f.account, f.ended AS instant
  FROM "subscriptions_facts" AS f
  WHERE f.occurred <= (SELECT ends FROM "history") AND f.arrived <= (SELECT ends FROM "history") AND f.until > (SELECT ends FROM "history") AND f.ended IS NOT NULL
),

-- Whether it came.
"answers" AS (
  SELECT h.account, h.moment, coalesce(max(CASE WHEN f.instant >= h.opens AND f.instant < h.closes THEN 1 ELSE 0 END), 0) = 1 AS answer
  FROM "horizons" AS h
  LEFT JOIN "foretold" AS f ON f.account = h.account
  GROUP BY h.account, h.moment
)

SELECT account AS "account_id", TIMESTAMPTZ 'epoch' + moment * INTERVAL '1 microsecond' AS moment, answer AS "churn"
FROM "answers"
WHERE answer IS NOT NULL
ORDER BY account, moment;
