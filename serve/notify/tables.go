package notify

// tables are the steps by which the tables of this package came about; each is run
// once, and none is ever changed. Times are µs since 1970 UTC, 0 for never.
func tables() []string {
	return []string{
		`CREATE TABLE notify_endpoints (
			id TEXT PRIMARY KEY, url TEXT NOT NULL, description TEXT NOT NULL,
			types TEXT NOT NULL, models TEXT NOT NULL,
			secret TEXT NOT NULL, old_secret TEXT NOT NULL, old_until BIGINT NOT NULL,
			enabled BIGINT NOT NULL, cause TEXT NOT NULL, created BIGINT NOT NULL,
			slow BIGINT NOT NULL, slow_until BIGINT NOT NULL)`,
		`CREATE TABLE notify_events (
			id TEXT PRIMARY KEY, type TEXT NOT NULL, model TEXT NOT NULL, account TEXT NOT NULL,
			at BIGINT NOT NULL, body TEXT NOT NULL)`,
		`CREATE INDEX notify_events_account ON notify_events (account)`,
		// A delivery that waits is taken when it is due; who takes it moves due past the
		// end of the attempt and writes its lease there, so that nobody else takes it, and
		// somebody does should the process end.
		`CREATE TABLE notify_deliveries (
			endpoint TEXT NOT NULL, event TEXT NOT NULL, state TEXT NOT NULL, attempts BIGINT NOT NULL,
			due BIGINT NOT NULL, lease TEXT NOT NULL, tried BIGINT NOT NULL, status BIGINT NOT NULL, error TEXT NOT NULL,
			PRIMARY KEY (endpoint, event))`,
		`CREATE INDEX notify_deliveries_due ON notify_deliveries (endpoint, state, due)`,
		`CREATE INDEX notify_deliveries_event ON notify_deliveries (event)`,
		`CREATE TABLE notify_cursors (name TEXT PRIMARY KEY, at BIGINT NOT NULL)`,
		`CREATE TABLE notify_usage (
			account TEXT NOT NULL, model TEXT NOT NULL, name TEXT NOT NULL, value DOUBLE PRECISION NOT NULL, as_of BIGINT NOT NULL,
			PRIMARY KEY (account, model, name))`,
		`CREATE TABLE notify_findings (
			model TEXT NOT NULL, version BIGINT NOT NULL, name TEXT NOT NULL, found BIGINT NOT NULL,
			PRIMARY KEY (model, version, name))`,
	}
}
