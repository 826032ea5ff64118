-- The rows of model churn, by propensity for spark.
-- Project 0886819f02a87c3d, timezone Europe/Berlin.
-- Run it with the session's timezone UTC: SET TIME ZONE 'UTC';
-- Times within are microseconds since 1970 UTC.

-- The records of source subscriptions that are facts: dated, and of an account.
WITH `subscriptions_records` AS (
  SELECT *,
    occurred AS arrived
  FROM (
    SELECT nullif(CAST(t.`account_id` AS STRING), '') AS account,
      unix_micros(CAST(t.`started_at` AS TIMESTAMP)) AS occurred,
      CAST(NULL AS bigint) AS told,
      CAST(NULL AS STRING) AS id,
      unix_micros(CAST(t.`ended_at` AS TIMESTAMP)) AS ended,
      CASE WHEN CAST(t.`mrr` AS DOUBLE) NOT IN (double('NaN')) THEN CAST(t.`mrr` AS DOUBLE) END AS `v_mrr`
    FROM `subscriptions` AS t
  ) AS r
  WHERE account IS NOT NULL
    AND occurred BETWEEN 631152000000000 AND unix_micros(current_timestamp())
    AND (ended IS NULL OR ended >= occurred)
    AND if(current_timezone() IN ('UTC', 'Etc/UTC', 'Z'), true, raise_error('SET TIME ZONE ''UTC'' first'))
),

-- Until when each version of a fact counts, and the total order of the account's facts.
`subscriptions_facts` AS (
  SELECT *,
    CAST(9223372036854775807 AS bigint) AS until,
    row_number() OVER facts AS seq
  FROM `subscriptions_records`
  WINDOW facts AS (PARTITION BY account ORDER BY occurred, arrived, id NULLS FIRST, `v_mrr` NULLS FIRST, ended NULLS FIRST)
),

-- From when on something is known of an account.
`since` AS (
  SELECT account, min(occurred) AS first
  FROM (
    SELECT account, occurred, arrived, until FROM `subscriptions_facts`
  ) AS x
  GROUP BY account
),

-- The records of source accounts that are facts: dated, and of an account.
`accounts_records` AS (
  SELECT *,
    occurred AS arrived
  FROM (
    SELECT nullif(CAST(t.`account_id` AS STRING), '') AS account,
      unix_micros(CAST(t.`created_at` AS TIMESTAMP)) AS occurred,
      CAST(NULL AS bigint) AS told,
      CAST(NULL AS STRING) AS id,
      CAST(t.`plan` AS STRING) AS `v_plan`
    FROM `accounts` AS t
  ) AS r
  WHERE account IS NOT NULL
    AND occurred BETWEEN 631152000000000 AND unix_micros(current_timestamp())
    AND if(current_timezone() IN ('UTC', 'Etc/UTC', 'Z'), true, raise_error('SET TIME ZONE ''UTC'' first'))
),

-- The records of source events that are facts: dated, and of an account.
`events_records` AS (
  SELECT *,
    coalesce(told, occurred) AS arrived
  FROM (
    SELECT nullif(CAST(t.`account_id` AS STRING), '') AS account,
      unix_micros(CAST(t.`occurred_at` AS TIMESTAMP)) AS occurred,
      unix_micros(CAST(t.`received_at` AS TIMESTAMP)) AS told,
      nullif(CAST(t.`event_id` AS STRING), '') AS id,
      CAST(t.`event` AS STRING) AS `v_event`,
      CASE WHEN CAST(t.`seconds` AS DOUBLE) NOT IN (double('NaN')) THEN CAST(t.`seconds` AS DOUBLE) END AS `v_seconds`
    FROM `raw`.`app.events` AS t
  ) AS r
  WHERE account IS NOT NULL
    AND occurred BETWEEN 631152000000000 AND unix_micros(current_timestamp())
    AND coalesce(told, occurred) <= unix_micros(current_timestamp())
    AND if(current_timezone() IN ('UTC', 'Etc/UTC', 'Z'), true, raise_error('SET TIME ZONE ''UTC'' first'))
),

-- When history ends: the newest arrival.
`history` AS (
  SELECT max(instant) AS ends
  FROM (
    SELECT max(arrived) AS instant FROM `accounts_records`
    UNION ALL SELECT max(arrived) AS instant FROM `events_records`
    UNION ALL SELECT max(arrived) AS instant FROM `subscriptions_records`
    UNION ALL SELECT max(ended) AS instant FROM `subscriptions_records` WHERE ended <= unix_micros(current_timestamp())
  ) AS x
),

-- The numbers of the days or months of moments.
`numbers` AS (
  SELECT explode(sequence(lo, greatest(lo, hi), CAST(1 AS bigint))) AS n
  FROM (
    SELECT 0 + ((lo - 0) div 1) * 1 AS lo, hi FROM (
      SELECT CAST(12 * extract(year FROM timestamp_micros(low)) + extract(month FROM timestamp_micros(low)) - 1 AS bigint) AS lo, CAST(12 * extract(year FROM timestamp_micros(high)) + extract(month FROM timestamp_micros(high)) - 1 AS bigint) AS hi FROM (
        SELECT unix_micros(from_utc_timestamp(timestamp_micros(low), 'Europe/Berlin')) AS low, unix_micros(from_utc_timestamp(timestamp_micros(high), 'Europe/Berlin')) AS high FROM (SELECT min(first) AS low, (SELECT ends FROM `history`) AS high FROM `since`) AS a
      ) AS b
    ) AS c
  ) AS d
),

-- The first instants of days of Europe/Berlin.
`grid` AS (
  SELECT CASE WHEN unix_micros(from_utc_timestamp(timestamp_micros(a), 'Europe/Berlin')) <> w AND unix_micros(from_utc_timestamp(timestamp_micros(b), 'Europe/Berlin')) = w THEN b ELSE a END AS moment
  FROM (
    SELECT w, 2 * w - 86400000000 - unix_micros(from_utc_timestamp(timestamp_micros((w - 86400000000)), 'Europe/Berlin')) AS a, 2 * w + 86400000000 - unix_micros(from_utc_timestamp(timestamp_micros((w + 86400000000)), 'Europe/Berlin')) AS b
    FROM (SELECT CAST(datediff(make_date(CAST((n) div 12 AS int), CAST(n % 12 + 1 AS int), 1), DATE '1970-01-01') AS bigint) * 86400000000 AS w FROM `numbers`) AS x
  ) AS y
),

-- Each account at each midnight.
`candidates` AS (
  SELECT f.account, g.moment
  FROM `grid` AS g
  JOIN `since` AS f ON f.first <= g.moment
),

-- The moments: while an interval of subscriptions is true, as known at the moment.
`moments` AS (
  SELECT DISTINCT c.account, c.moment
  FROM `candidates` AS c
  JOIN `subscriptions_facts` AS w
    ON w.account = c.account AND w.occurred <= c.moment AND w.arrived <= c.moment AND w.until > c.moment AND (w.ended IS NULL OR w.ended > c.moment)
  WHERE c.moment <= (SELECT ends FROM `history`)
),

-- The calendar day of each moment, and where its calendar windows begin.
`windows` AS (
  SELECT account, moment, start_1mo
  FROM (
    SELECT *, a1 + b1 - unix_micros(from_utc_timestamp(timestamp_micros(b1), 'Europe/Berlin')) AS start_1mo
    FROM (
      SELECT *, 2 * a1 - unix_micros(from_utc_timestamp(timestamp_micros(a1), 'Europe/Berlin')) AS b1
      FROM (
        SELECT *, unix_micros(timestamp_micros((unix_micros(from_utc_timestamp(timestamp_micros(moment), 'Europe/Berlin')))) + INTERVAL '-1' MONTH) AS a1
        FROM `moments`
      ) AS z1
    ) AS z2
  ) AS z3
),

-- What is said again, word for word, is left out.
`events_versions` AS (
  SELECT * FROM (
    SELECT *, CASE WHEN id IS NULL THEN arrived ELSE min(arrived) OVER (PARTITION BY account, id, occurred, `v_event`, `v_seconds`) END AS said, CASE WHEN id IS NOT NULL AND lag(occurred) OVER versions = occurred
        AND (lag(`v_event`) OVER versions IS NOT DISTINCT FROM `v_event`)
        AND (lag(`v_seconds`) OVER versions IS NOT DISTINCT FROM `v_seconds`) THEN 1 ELSE 0 END AS again
    FROM `events_records`
    WINDOW versions AS (PARTITION BY account, id ORDER BY arrived, occurred, `v_event` NULLS FIRST, `v_seconds` NULLS FIRST)
  ) AS x
  WHERE again = 0
),

-- Until when each version of a fact counts, and the total order of the account's facts.
`events_facts` AS (
  SELECT *,
    CASE WHEN id IS NULL THEN 9223372036854775807 ELSE coalesce(min(greatest(arrived, occurred)) OVER versions, 9223372036854775807) END AS until,
    row_number() OVER facts AS seq
  FROM `events_versions`
  WINDOW facts AS (PARTITION BY account ORDER BY occurred, said, id NULLS FIRST, `v_event` NULLS FIRST, `v_seconds` NULLS FIRST),
    versions AS (PARTITION BY account, id ORDER BY arrived, occurred, `v_event` NULLS FIRST, `v_seconds` NULLS FIRST ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING)
),

-- What had occurred and arrived strictly before each moment, in the version of then.
`events_known` AS (
  SELECT m.*, f.occurred AS instant, f.seq, f.`v_event`, f.`v_seconds`
  FROM `windows` AS m
  JOIN `events_facts` AS f
    ON f.account = m.account AND f.occurred < m.moment AND f.arrived < m.moment AND f.until >= m.moment AND f.occurred >= least(m.moment - 2419200000000, m.start_1mo, m.moment - 4838400000000)
),

-- The features of events.
`events_row` AS (
  SELECT account, moment,
    CAST(count(*) FILTER (WHERE instant >= moment - 2419200000000 AND (`v_event` = 'login')) AS DOUBLE) AS `logins_28d`,
    CAST(count(*) FILTER (WHERE instant >= start_1mo AND (`v_event` = 'login')) AS DOUBLE) AS `logins_1mo`,
    (CAST(count(*) FILTER (WHERE instant >= moment - 2419200000000 AND (`v_event` = 'login')) AS DOUBLE)) / nullif(CAST(count(*) FILTER (WHERE instant >= moment - 4838400000000 AND instant < moment - 2419200000000 AND (`v_event` = 'login')) AS DOUBLE), 0e0) AS `logins_28d_trend`,
    coalesce(sum(`v_seconds`) FILTER (WHERE instant >= moment - 2419200000000 AND `v_seconds` IS NOT NULL), 0e0) AS `seconds_28d`
  FROM `events_known`
  GROUP BY account, moment, start_1mo
),

-- Until when each version of a fact counts, and the total order of the account's facts.
`accounts_facts` AS (
  SELECT *,
    CAST(9223372036854775807 AS bigint) AS until,
    row_number() OVER facts AS seq
  FROM `accounts_records`
  WINDOW facts AS (PARTITION BY account ORDER BY occurred, arrived, id NULLS FIRST, `v_plan` NULLS FIRST)
),

-- What had occurred and arrived strictly before each moment, in the version of then.
`accounts_known` AS (
  SELECT m.*, f.occurred AS instant, f.seq, f.`v_plan`
  FROM `windows` AS m
  JOIN `accounts_facts` AS f
    ON f.account = m.account AND f.occurred < m.moment AND f.arrived < m.moment AND f.until >= m.moment
),

-- The features of accounts.
`accounts_row` AS (
  SELECT account, moment,
    max_by(`v_plan`, seq) FILTER (WHERE `v_plan` IS NOT NULL) AS `plan`
  FROM `accounts_known`
  GROUP BY account, moment, start_1mo
),

-- What had occurred and arrived strictly before each moment, in the version of then.
`subscriptions_known` AS (
  SELECT m.*, f.occurred AS instant, f.seq, (f.ended IS NULL OR f.ended >= m.moment) AS still, f.`v_mrr`
  FROM `windows` AS m
  JOIN `subscriptions_facts` AS f
    ON f.account = m.account AND f.occurred < m.moment AND f.arrived < m.moment AND f.until >= m.moment
),

-- The features of subscriptions.
`subscriptions_row` AS (
  SELECT account, moment,
    sum(`v_mrr`) FILTER (WHERE `v_mrr` IS NOT NULL AND still) AS `mrr`
  FROM `subscriptions_known`
  GROUP BY account, moment, start_1mo
),

-- One row a moment.
`features` AS (
  SELECT m.account,
    m.moment,
    coalesce(f1.`logins_28d`, 0e0) AS `logins_28d`,
    coalesce(f1.`logins_1mo`, 0e0) AS `logins_1mo`,
    f1.`logins_28d_trend` AS `logins_28d_trend`,
    coalesce(f1.`seconds_28d`, 0e0) AS `seconds_28d`,
    f2.`plan` AS `plan`,
    coalesce(f3.`mrr`, 0e0) AS `mrr`
  FROM `windows` AS m
  LEFT JOIN `events_row` AS f1 ON f1.account = m.account AND f1.moment = m.moment
  LEFT JOIN `accounts_row` AS f2 ON f2.account = m.account AND f2.moment = m.moment
  LEFT JOIN `subscriptions_row` AS f3 ON f3.account = m.account AND f3.moment = m.moment
),

-- logins_28d > 0 ? seconds_28d / logins_28d : 0
`with_long` AS (
  SELECT *, CASE WHEN abs((CASE WHEN (`logins_28d` > 0e0) THEN (`seconds_28d` / nullif(`logins_28d`, 0e0)) WHEN NOT (`logins_28d` > 0e0) THEN 0e0 END)) <= 1.7976931348623157e+308 THEN (CASE WHEN (`logins_28d` > 0e0) THEN (`seconds_28d` / nullif(`logins_28d`, 0e0)) WHEN NOT (`logins_28d` > 0e0) THEN 0e0 END) END AS `long`
  FROM `features`
)

SELECT account AS `account_id`,
  timestamp_micros(moment) AS moment,
  `logins_28d`,
  `logins_1mo`,
  `logins_28d_trend`,
  `seconds_28d`,
  `plan`,
  `mrr`,
  `long`
FROM `with_long`
ORDER BY account, moment;
