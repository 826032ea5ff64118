-- Model churn, artifact 66dc0d503998: the probability that "left" is "Yes", for SQLite 3.38 or later.
-- Reads of "accounts", as in the training table (NULL is missing):
--   "logins", number
--   "plan", category of 2 levels: text
--   "last", time: text such as 2026-03-01 09:30:00, UTC unless it ends in Z or +01:00
-- Gives of each row: raw, log-odds before calibration; probability; band.
WITH s0 AS (
  SELECT "id" AS account,
    "seen" AS as_of,
    CASE typeof("logins") WHEN 'null' THEN NULL WHEN 'real' THEN "logins" WHEN 'integer' THEN CAST("logins" AS REAL) ELSE json_extract('{}', 'a number is wanted in "logins", got ' || coalesce("logins", '')) END AS x0,
    CASE WHEN "plan" IS NULL THEN NULL WHEN typeof("plan") <> 'text' THEN json_extract('{}', 'a text is wanted in "plan", got ' || coalesce("plan", '')) ELSE CASE "plan" COLLATE BINARY WHEN 'free' THEN 0 WHEN 'it''s' THEN 1 ELSE -1 END END AS x1,
    CASE WHEN "last" IS NULL THEN NULL WHEN "seen" IS NULL THEN json_extract('{}', 'a row has no moment in "seen" ' || coalesce("seen", '')) ELSE (CAST(CASE WHEN typeof("seen") = 'text' AND length("seen") >= 10 AND unixepoch(substr("seen", 1, 19) || CASE WHEN substr("seen", 20, 1) = '.' THEN ltrim(substr("seen", 21), '0123456789') ELSE substr("seen", 20) END) IS NOT NULL THEN 1000000 * unixepoch(substr("seen", 1, 19) || CASE WHEN substr("seen", 20, 1) = '.' THEN ltrim(substr("seen", 21), '0123456789') ELSE substr("seen", 20) END) + CASE WHEN substr("seen", 20, 1) = '.' THEN CAST(substr(substr(CASE WHEN substr("seen", 20, 1) = '.' THEN substr("seen", 21) ELSE '' END, 1, length(CASE WHEN substr("seen", 20, 1) = '.' THEN substr("seen", 21) ELSE '' END) - length(CASE WHEN substr("seen", 20, 1) = '.' THEN ltrim(substr("seen", 21), '0123456789') ELSE substr("seen", 20) END)) || '000000', 1, 6) AS INTEGER) ELSE 0 END ELSE json_extract('{}', 'a time is wanted in "seen", got ' || coalesce("seen", '')) END AS REAL) - CAST(CASE WHEN typeof("last") = 'text' AND length("last") >= 10 AND unixepoch(substr("last", 1, 19) || CASE WHEN substr("last", 20, 1) = '.' THEN ltrim(substr("last", 21), '0123456789') ELSE substr("last", 20) END) IS NOT NULL THEN 1000000 * unixepoch(substr("last", 1, 19) || CASE WHEN substr("last", 20, 1) = '.' THEN ltrim(substr("last", 21), '0123456789') ELSE substr("last", 20) END) + CASE WHEN substr("last", 20, 1) = '.' THEN CAST(substr(substr(CASE WHEN substr("last", 20, 1) = '.' THEN substr("last", 21) ELSE '' END, 1, length(CASE WHEN substr("last", 20, 1) = '.' THEN substr("last", 21) ELSE '' END) - length(CASE WHEN substr("last", 20, 1) = '.' THEN ltrim(substr("last", 21), '0123456789') ELSE substr("last", 20) END)) || '000000', 1, 6) AS INTEGER) ELSE 0 END ELSE json_extract('{}', 'a time is wanted in "last", got ' || coalesce("last", '')) END AS REAL)) / 86400000000.0 END AS x3,
    0.1 AS raw
  FROM "accounts"
  LIMIT -1
), s1 AS (
  SELECT account, as_of, raw
    + CASE WHEN x0 IS NULL THEN 0.7 ELSE max((-10000.0), min(10000.0, (-0.3) * ((x0 - 1.0) / 2.0))) END
    + CASE WHEN x1 IS NULL THEN 0.0 WHEN x1 = 0 THEN 0.25 WHEN x1 = 1 THEN (-0.25) ELSE 0.0 END
    + CASE WHEN x3 IS NULL THEN 0.5 WHEN x3 <= 1.0 THEN 0.1 WHEN x3 <= 3.0 THEN 0.2 ELSE (-0.3) END AS raw
  FROM s0
  LIMIT -1
), calibrated AS (
  SELECT account, as_of, raw,
    0.5 * raw + (-0.25) AS log_odds
  FROM s1
  LIMIT -1
)
SELECT account, as_of, raw,
  min(1.0 / (1.0 + exp(min(max(-log_odds, (-700.0)), 700.0))), 0.9999999999999999) AS probability,
  CASE WHEN raw >= 0.4999999999999994 THEN 'A' ELSE 'B' END AS band
FROM calibrated;
