package online

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"propensity/features/facts"
)

// redisStore keeps the facts of an account in one hash: a field for each fact, source
// and id with a zero byte between them, whose value is its versions; and the number of
// changes of the account in the field v. A call of Append is one script, which Redis
// does as a whole or not at all, and it needs one server (with its replicas), not a
// cluster. What is acknowledged is as durable as the appendfsync of that server.
type redisStore struct {
	committer
	client *redis.Client
}

// redisPrefix begins the keys.
const redisPrefix = "propensity:facts:"

// redisAdd adds records. KEYS are the accounts; ARGV are, for each record, the number
// of its account, field, arrival (8 bytes whose order as text is that of instants),
// "1" if it arrives now, and content. A version is stored as arrival, length of the
// content (4 bytes) and content.
const redisAdd = `
local function after(a, b) -- by bytes: the server compares strings by its locale
	for i = 1, math.min(#a, #b) do
		local x, y = string.byte(a, i), string.byte(b, i)
		if x ~= y then return x > y end
	end
	return #a > #b
end
local function next_to(a)
	local out, carry = '', 1
	for i = 8, 1, -1 do
		local x = string.byte(a, i) + carry
		carry = 0
		if x == 256 then x, carry = 0, 1 end
		out = string.char(x) .. out
	end
	return out
end
local changed = {}
for i = 1, #ARGV, 5 do
	local key, field, arrived, now, content = KEYS[tonumber(ARGV[i])], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3] == '1', ARGV[i + 4]
	local have = redis.call('HGET', key, field) or ''
	local at, same, newest, newest_content = 1, false, nil, nil
	while at <= #have do
		local when, length = string.sub(have, at, at + 7), struct.unpack('>I4', have, at + 8)
		local what = string.sub(have, at + 12, at + 11 + length)
		if when == arrived and what == content then same = true end
		if not newest or after(when, newest) or when == newest and after(what, newest_content) then
			newest, newest_content = when, what
		end
		at = at + 12 + length
	end
	if now and newest then
		same = newest_content == content
		if not after(arrived, newest) then arrived = next_to(newest) end
	end
	if not same then
		redis.call('HSET', key, field, have .. arrived .. struct.pack('>I4', #content) .. content)
		changed[key] = true
	end
end
for i = 1, #KEYS do
	if changed[KEYS[i]] then redis.call('HINCRBY', KEYS[i], 'v', 1) end
end
return 0`

func openRedis(ctx context.Context, url string) (Store, error) {
	options, err := redis.ParseURL(url)
	if err != nil { // which would show the password
		return nil, fmt.Errorf("%w: write redis://host:6379/0", ErrURL)
	}
	s := &redisStore{client: redis.NewClient(options)}
	if err := s.client.Ping(ctx).Err(); err != nil {
		s.client.Close()
		return nil, unavailable(ctx, err)
	}
	s.start(s.write)
	return s, nil
}

// Append adds facts.
func (s *redisStore) Append(ctx context.Context, list []facts.Fact) error {
	return s.append(ctx, list)
}

func (s *redisStore) write(ctx context.Context, list []record) error {
	var keys []string
	args := make([]any, 0, 5*len(list))
	for i := range list {
		r := &list[i]
		if i == 0 || r.account != list[i-1].account {
			keys = append(keys, redisPrefix+r.account)
		}
		now := "0"
		if r.now {
			now = "1"
		}
		args = append(args, len(keys), r.source+"\x00"+r.id, redisInstant(r.arrived), now, r.content)
	}
	if err := redis.NewScript(redisAdd).Run(ctx, s.client, keys, args...).Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// redisInstant spells an instant so that bytes are in the order of time.
func redisInstant(us int64) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(us)^1<<63)
}

// Facts gives the facts of an account.
func (s *redisStore) Facts(ctx context.Context, account string, since Since) ([]facts.Fact, error) {
	return factsOf(ctx, s, account, since)
}

func (s *redisStore) records(ctx context.Context, account string) ([]record, error) {
	fields, err := s.client.HGetAll(ctx, redisPrefix+account).Result()
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	list := make([]record, 0, len(fields))
	for field, value := range fields { // sorted below
		source, id, ok := strings.Cut(field, "\x00")
		if !ok {
			continue // the number of changes
		}
		for rest := []byte(value); len(rest) > 0; {
			if len(rest) < 12 || uint64(len(rest)-12) < uint64(binary.BigEndian.Uint32(rest[8:])) {
				return nil, fmt.Errorf("%w: source %q, account %q, id %q", errContent, clip(source), clip(account), clip(id))
			}
			end := 12 + int(binary.BigEndian.Uint32(rest[8:]))
			arrived := int64(binary.BigEndian.Uint64(rest) ^ 1<<63)
			list = append(list, record{account: account, source: source, id: id, arrived: arrived, content: rest[12:end]})
			rest = rest[end:]
		}
	}
	slices.SortFunc(list, compareVersions)
	return list, nil
}

func (s *redisStore) versions(ctx context.Context, accounts []string) ([]uint64, error) {
	pipe := s.client.Pipeline()
	replies := make([]*redis.StringCmd, len(accounts))
	for i, account := range accounts {
		replies[i] = pipe.HGet(ctx, redisPrefix+account, "v")
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, unavailable(ctx, err)
	}
	out := make([]uint64, len(accounts))
	for i, reply := range replies {
		v, err := reply.Uint64()
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, unavailable(ctx, err)
		}
		out[i] = v
	}
	return out, nil
}

// Close waits for what is being written and closes the connections.
func (s *redisStore) Close() error {
	s.stop()
	return s.client.Close()
}

// redisList begins the keys of lists of accounts, which Redis has in no order: they are
// put into a sorted set of its own for each caller, which ends by itself if the caller
// does not.
const (
	redisList     = "propensity:list:"
	redisListLife = 15 * time.Minute // since it was last looked at
)

func (s *redisStore) accounts(ctx context.Context, from, to string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		key := redisList + rand.Text()
		defer s.client.Del(context.WithoutCancel(ctx), key)
		total, err := s.list(ctx, key, from, to)
		if err != nil {
			yield("", unavailable(ctx, err))
			return
		}
		if total == 0 {
			return
		}
		pages(from, to, func(from string) ([]string, error) {
			pipe := s.client.TxPipeline()
			page := pipe.ZRangeByLex(ctx, key, &redis.ZRangeBy{Min: "[" + from, Max: "+", Count: listPage})
			left := pipe.ZCard(ctx, key)
			pipe.Expire(ctx, key, redisListLife)
			if _, err := pipe.Exec(ctx); err != nil {
				return nil, unavailable(ctx, err)
			}
			if left.Val() != total {
				return nil, fmt.Errorf("%w: the list of its accounts was lost", ErrUnavailable)
			}
			return page.Val(), nil
		})(yield)
	}
}

// list makes a list of accounts that have facts, and gives how many there are.
func (s *redisStore) list(ctx context.Context, key, from, to string) (total int64, err error) {
	for cursor, more := uint64(0), true; more; more = cursor != 0 {
		var keys []string
		if keys, cursor, err = s.client.Scan(ctx, cursor, redisPrefix+"*", listPage).Result(); err != nil {
			return 0, err
		}
		sizes, pipe := map[string]*redis.IntCmd{}, s.client.Pipeline()
		for _, k := range keys {
			if account := strings.TrimPrefix(k, redisPrefix); account >= from && (to == "" || account < to) {
				sizes[account] = pipe.HLen(ctx, k)
			}
		}
		if len(sizes) == 0 {
			continue
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return 0, err
		}
		var members []redis.Z
		for account, size := range sizes { // into a set
			if size.Val() > 1 { // besides the number of changes
				members = append(members, redis.Z{Member: account})
			}
		}
		if len(members) == 0 {
			continue
		}
		add := s.client.TxPipeline()
		added := add.ZAdd(ctx, key, members...)
		add.Expire(ctx, key, redisListLife)
		if _, err := add.Exec(ctx); err != nil {
			return 0, err
		}
		total += added.Val()
	}
	return total, nil
}

// redisRemove removes a field if its value is still the given one.
const redisRemove = `
for i = 1, #ARGV, 2 do
	if redis.call('HGET', KEYS[1], ARGV[i]) == ARGV[i + 1] then
		redis.call('HDEL', KEYS[1], ARGV[i])
		redis.call('HINCRBY', KEYS[1], 'v', 1)
	end
end
return 0`

func (s *redisStore) remove(ctx context.Context, account string, list []record) error {
	for chunk := range slices.Chunk(list, 1000) {
		fields := make([]string, 0, len(chunk))
		for i := range chunk {
			if field := chunk[i].source + "\x00" + chunk[i].id; len(fields) == 0 || fields[len(fields)-1] != field {
				fields = append(fields, field)
			}
		}
		values, err := s.client.HMGet(ctx, redisPrefix+account, fields...).Result()
		if err != nil {
			return unavailable(ctx, err)
		}
		args := make([]any, 0, 2*len(fields))
		for i, value := range values {
			if text, ok := value.(string); ok && s.onlyThese(text, fields[i], list) {
				args = append(args, fields[i], text)
			}
		}
		if err := redis.NewScript(redisRemove).Run(ctx, s.client, []string{redisPrefix + account}, args...).Err(); err != nil {
			return unavailable(ctx, err)
		}
	}
	return nil
}

// onlyThese says whether a value has as many versions as are to be removed.
func (s *redisStore) onlyThese(value, field string, list []record) bool {
	n := 0
	for i := range list {
		if list[i].source+"\x00"+list[i].id == field {
			n += 12 + len(list[i].content)
		}
	}
	return n == len(value)
}
