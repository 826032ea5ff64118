package online

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"propensity/features/facts"
)

// postgresStore keeps facts in two tables of a database: what has been committed is
// there. Servers that write at once take the accounts of a transaction in the same
// order, so that they wait for one another and never lock each other out.
type postgresStore struct {
	committer
	pool *pgxpool.Pool
}

// Names are bytes, which have neither collations nor forbidden letters. A content may
// be too long for an index, so that its hash is in the key.
const postgresSchema = `
SELECT pg_advisory_xact_lock(7301442);
CREATE TABLE IF NOT EXISTS propensity_facts (
	account bytea NOT NULL, source bytea NOT NULL, id bytea NOT NULL, arrived bigint NOT NULL, hash bytea NOT NULL, content bytea NOT NULL,
	PRIMARY KEY (account, source, id, arrived, hash)
);
CREATE TABLE IF NOT EXISTS propensity_accounts (account bytea NOT NULL PRIMARY KEY, version bigint NOT NULL);
`

// The first statement locks the accounts until the end of the transaction, so that the
// second, whose view of the tables is of its own start, sees all that others have added.
const (
	postgresLock = `
INSERT INTO propensity_accounts SELECT a, 1 FROM unnest($1::bytea[]) WITH ORDINALITY AS list (a, i) ORDER BY i
ON CONFLICT (account) DO UPDATE SET version = propensity_accounts.version + 1`
	postgresAdd = `
INSERT INTO propensity_facts
SELECT n.account, n.source, n.id, CASE WHEN n.now THEN greatest(n.arrived, newest.arrived + 1) ELSE n.arrived END, n.hash, n.content
FROM unnest($1::bytea[], $2::bytea[], $3::bytea[], $4::bigint[], $5::bool[], $6::bytea[], $7::bytea[]) AS n (account, source, id, arrived, now, hash, content)
LEFT JOIN LATERAL (
	SELECT f.arrived, f.content FROM propensity_facts f
	WHERE n.now AND f.account = n.account AND f.source = n.source AND f.id = n.id
	ORDER BY f.arrived DESC, f.content DESC LIMIT 1
) newest ON true
WHERE newest.content IS DISTINCT FROM n.content
ON CONFLICT DO NOTHING`
	postgresFacts    = `SELECT source, id, arrived, content FROM propensity_facts WHERE account = $1 ORDER BY source, id, arrived, content`
	postgresVersions = `SELECT coalesce(a.version, 0) FROM unnest($1::bytea[]) WITH ORDINALITY AS list (account, i) LEFT JOIN propensity_accounts a USING (account) ORDER BY i`
)

func openPostgres(ctx context.Context, url string) (Store, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil { // which would show the password
		return nil, fmt.Errorf("%w: write postgres://user@host:5432/database, with the password in PGPASSWORD or ~/.pgpass", ErrURL)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	s := &postgresStore{pool: pool}
	if err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, postgresSchema)
		return err
	}); err != nil {
		pool.Close()
		return nil, unavailable(ctx, err)
	}
	s.start(s.write)
	return s, nil
}

// Append adds facts.
func (s *postgresStore) Append(ctx context.Context, list []facts.Fact) error {
	return s.append(ctx, list)
}

// write adds records. What fails for a reason that is over the next time, such as a
// connection that the server has ended, is tried again: to add twice is to add once.
func (s *postgresStore) write(ctx context.Context, list []record) error {
	for attempt := 1; ; attempt++ {
		err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return addPostgres(ctx, tx, list) })
		if err == nil {
			return nil
		}
		if attempt == 3 || ctx.Err() != nil || !passing(err) {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
}

// passing says whether an error is of a lost connection, a deadlock or a conflict.
func passing(err error) bool {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return slices.Contains([]string{"40001", "40P01", "57P01"}, e.Code) // serialization, deadlock, shutdown by the administrator
	}
	return true
}

func addPostgres(ctx context.Context, tx pgx.Tx, list []record) error {
	batch := &pgx.Batch{}
	var accounts [][]byte
	for _, account := range accountsOf(list) {
		accounts = append(accounts, []byte(account))
	}
	batch.Queue(postgresLock, accounts)
	for _, part := range wavesOf(list) {
		n := len(part)
		account, source, id, hash, content := make([][]byte, n), make([][]byte, n), make([][]byte, n), make([][]byte, n), make([][]byte, n)
		arrived, now := make([]int64, n), make([]bool, n)
		for i := range part {
			r := &part[i]
			sum := sha256.Sum256(r.content)
			account[i], source[i], id[i], hash[i], content[i] = []byte(r.account), []byte(r.source), []byte(r.id), sum[:16], r.content
			arrived[i], now[i] = r.arrived, r.now
		}
		batch.Queue(postgresAdd, account, source, id, arrived, now, hash, content)
	}
	return tx.SendBatch(ctx, batch).Close()
}

// wavesOf parts records, which are in order, so that none has two of the same fact if
// one of them arrives now: a statement does not see what it adds itself.
func wavesOf(list []record) [][]record {
	anyNow := false
	for i := range list {
		anyNow = anyNow || list[i].now
	}
	if !anyNow {
		return [][]record{list}
	}
	var waves [][]record
	wave := 0
	for i := range list {
		if i > 0 && compareNames(list[i], list[i-1]) == 0 {
			wave++
		} else {
			wave = 0
		}
		if wave == len(waves) {
			waves = append(waves, nil)
		}
		waves[wave] = append(waves[wave], list[i])
	}
	return waves
}

// Facts gives the facts of an account.
func (s *postgresStore) Facts(ctx context.Context, account string, since Since) ([]facts.Fact, error) {
	return factsOf(ctx, s, account, since)
}

func (s *postgresStore) records(ctx context.Context, account string) ([]record, error) {
	rows, err := s.pool.Query(ctx, postgresFacts, []byte(account))
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (record, error) {
		r := record{account: account}
		var source, id []byte
		err := row.Scan(&source, &id, &r.arrived, &r.content)
		r.source, r.id = string(source), string(id)
		return r, err
	})
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	return list, nil
}

func (s *postgresStore) versions(ctx context.Context, accounts []string) ([]uint64, error) {
	list := make([][]byte, len(accounts))
	for i, account := range accounts {
		list[i] = []byte(account)
	}
	rows, err := s.pool.Query(ctx, postgresVersions, list)
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	versions := make([]uint64, len(out))
	for i, v := range out {
		versions[i] = uint64(v)
	}
	return versions, nil
}

// Close waits for what is being written and closes the connections.
func (s *postgresStore) Close() error {
	s.stop()
	s.pool.Close()
	return nil
}

// postgresAccounts seeks each account beyond the one before, which does not read all
// facts. As many are sought as are fetched
// (https://www.postgresql.org/docs/current/queries-with.html).
const postgresAccounts = `
WITH RECURSIVE known (account) AS (
	(SELECT account FROM propensity_facts WHERE account >= $1 ORDER BY account LIMIT 1)
	UNION ALL SELECT (SELECT f.account FROM propensity_facts f WHERE f.account > known.account ORDER BY f.account LIMIT 1) FROM known WHERE account IS NOT NULL
) SELECT account FROM known WHERE account IS NOT NULL LIMIT $2`

func (s *postgresStore) accounts(ctx context.Context, from, to string) iter.Seq2[string, error] {
	return pages(from, to, func(from string) ([]string, error) {
		rows, err := s.pool.Query(ctx, postgresAccounts, []byte(from), listPage)
		if err != nil {
			return nil, unavailable(ctx, err)
		}
		page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
			var account []byte
			err := row.Scan(&account)
			return string(account), err
		})
		if err != nil {
			return nil, unavailable(ctx, err)
		}
		slices.Sort(page) // they came so; SQL does not promise it
		return page, nil
	})
}

func (s *postgresStore) remove(ctx context.Context, account string, list []record) error {
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		batch := &pgx.Batch{}
		batch.Queue(postgresLock, [][]byte{[]byte(account)})
		for i := range list {
			r := &list[i]
			batch.Queue(`DELETE FROM propensity_facts WHERE account = $1 AND source = $2 AND id = $3 AND arrived = $4 AND content = $5`,
				[]byte(account), []byte(r.source), []byte(r.id), r.arrived, r.content)
		}
		return tx.SendBatch(ctx, batch).Close()
	})
	if err != nil {
		return unavailable(ctx, err)
	}
	return nil
}
