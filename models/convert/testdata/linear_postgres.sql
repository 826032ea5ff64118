-- Model churn, artifact 66dc0d503998: the probability that "left" is "Yes", for PostgreSQL 14 or later.
-- Reads of "accounts", as in the training table (NULL is missing):
--   "logins", number
--   "plan", category of 2 levels: text
--   "last", time: timestamptz, or timestamp or date, in UTC
-- Gives of each row: raw, log-odds before calibration; probability; band.
-- SET jit = off; before it: compiling so long an expression costs more than it gains.
WITH s0 AS (
  SELECT "id" AS account,
    "seen" AS as_of,
    nullif("logins"::float8, 'NaN'::float8) AS x0,
    CASE WHEN "plan" IS NULL THEN NULL ELSE CASE "plan"::text COLLATE "C" WHEN 'free' THEN 0 WHEN 'it''s' THEN 1 ELSE -1 END END AS x1,
    CASE WHEN "last" IS NULL THEN NULL WHEN "seen" IS NULL THEN ('a row has no moment in "seen" ' || coalesce("seen"::text, ''))::float8 ELSE ((extract(epoch FROM "seen") - extract(epoch FROM "last")) * 1000000)::float8 / 86400000000::float8 END AS x3,
    0.1::float8 AS raw
  FROM "accounts"
  OFFSET 0
), s1 AS (
  SELECT account, as_of, raw
    + CASE WHEN x0 IS NULL THEN 0.7::float8 WHEN x0 >= 133334.33333333334::float8 THEN (-10000.0::float8) WHEN x0 <= (-133332.33333333334::float8) THEN 10000.0::float8 ELSE GREATEST((-10000.0::float8), LEAST(10000.0::float8, (-0.3::float8) * ((x0 - 1.0::float8) / 2.0::float8))) END
    + CASE WHEN x1 IS NULL THEN 0.0::float8 WHEN x1 = 0 THEN 0.25::float8 WHEN x1 = 1 THEN (-0.25::float8) ELSE 0.0::float8 END
    + CASE WHEN x3 IS NULL THEN 0.5::float8 WHEN x3 <= 1.0::float8 THEN 0.1::float8 WHEN x3 <= 3.0::float8 THEN 0.2::float8 ELSE (-0.3::float8) END AS raw
  FROM s0
  OFFSET 0
), calibrated AS (
  SELECT account, as_of, raw,
    0.5::float8 * raw + (-0.25::float8) AS log_odds
  FROM s1
  OFFSET 0
)
SELECT account, as_of, raw,
  LEAST(1.0::float8 / (1.0::float8 + exp(LEAST(GREATEST(-log_odds, (-700.0::float8)), 700.0::float8))), 0.9999999999999999::float8) AS probability,
  CASE WHEN raw >= 0.4999999999999994::float8 THEN 'A' ELSE 'B' END AS band
FROM calibrated;
