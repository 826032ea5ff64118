package spec_test

var faulty = []struct{ name, text, want string }{}
