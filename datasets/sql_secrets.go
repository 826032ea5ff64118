package datasets

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// secretReference is ${env:NAME} or ${file:PATH}.
var secretReference = regexp.MustCompile(`\$\{(env|file):([^{}]+)\}`)

// expand puts secrets in their places. What it gives beside the URL is all that
// must not be shown.
func (s SQLSource) expand() (at string, secrets []string, err error) {
	fault := func(format string, a ...any) error {
		return &ParseError{File: s.shown(), Err: ErrValue, Hint: fmt.Sprintf(format, a...)}
	}
	places := secretReference.FindAllStringSubmatchIndex(s.URL, -1)
	if strings.Count(s.URL, "${") != len(places) {
		return "", nil, fault("a reference is written as ${env:NAME} or ${file:PATH}")
	}
	if err := s.literalPassword(); err != nil {
		return "", nil, err
	}
	user := strings.LastIndexByte(s.URL, '@')
	query := strings.IndexByte(s.URL, '?')
	var b strings.Builder
	last := 0
	for _, p := range places {
		name := s.URL[p[4]:p[5]]
		value, err := s.secret(s.URL[p[2]:p[3]], name)
		if err != nil {
			return "", nil, err
		}
		if value == "" {
			return "", nil, fault("%s is empty", s.URL[p[0]:p[1]])
		}
		secrets = append(secrets, value)
		if p[0] < user || query >= 0 && p[0] > query {
			value = escaped(value)
			secrets = append(secrets, value)
		}
		b.WriteString(s.URL[last:p[0]])
		b.WriteString(value)
		last = p[1]
	}
	at = b.String() + s.URL[last:]
	if !strings.HasPrefix(at, "postgres://") && !strings.HasPrefix(at, "postgresql://") && !strings.HasPrefix(at, "sqlite:") {
		return "", nil, fault("write it as postgres://user:${env:PGPASSWORD}@host:5432/database or sqlite:PATH")
	}
	if len(places) > 0 { // the password of a URL that came whole
		if u, err := url.Parse(at); err == nil {
			if password, ok := u.User.Password(); ok {
				secrets = append(secrets, password)
			}
			if password := u.Query().Get("password"); password != "" {
				secrets = append(secrets, password)
			}
		}
	}
	// The longest first, so that none is left in part.
	secrets = slices.DeleteFunc(secrets, func(s string) bool { return s == "" })
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	return at, secrets, nil
}

// secret is the value of one reference.
func (s SQLSource) secret(kind, name string) (string, error) {
	if kind == "env" {
		value, ok := os.LookupEnv(name)
		if !ok {
			return "", &ParseError{File: s.shown(), Err: ErrValue, Hint: "the environment has no variable " + name}
		}
		return value, nil
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(s.Dir, name)
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("%s: %w", s.shown(), err)
	}
	return strings.TrimRight(string(content), "\r\n"), nil
}

// literalPassword refuses a password that is written out.
func (s SQLSource) literalPassword() error {
	plain := secretReference.ReplaceAllString(s.URL, "")
	authority, rest, _ := strings.Cut(plain, "?")
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		user := authority[:at]
		if scheme := strings.Index(user, "://"); scheme >= 0 {
			user = user[scheme+3:]
		}
		if _, password, _ := strings.Cut(user, ":"); password != "" {
			return s.noPassword()
		}
	}
	for pair := range strings.SplitSeq(rest, "&") {
		if name, value, _ := strings.Cut(pair, "="); strings.Contains(strings.ToLower(name), "password") && value != "" {
			return s.noPassword()
		}
	}
	return nil
}

func (s SQLSource) noPassword() error {
	return &ParseError{File: s.shown(), Err: ErrValue,
		Hint: "a password is written out in the URL: write ${env:NAME} or ${file:PATH} for it, so that it stands in no project file, log or artifact"}
}

// shown is the URL without a password that is written out.
func (s SQLSource) shown() string {
	text := s.URL
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		start := 0
		if scheme := strings.Index(text, "://"); scheme >= 0 && scheme < at {
			start = scheme + 3
		}
		if colon := strings.IndexByte(text[start:at], ':'); colon >= 0 {
			if password := text[start+colon+1 : at]; secretReference.ReplaceAllString(password, "") != "" {
				text = text[:start+colon+1] + "***" + text[at:]
			}
		}
	}
	if before, _, found := strings.Cut(text, "?"); found && strings.Contains(strings.ToLower(text), "password") {
		text = before + "?***"
	}
	return text
}

// escaped spells every byte that may mean something in a URL as %XX.
func escaped(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.' || c == '~':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
