package main

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// inNamespace is set in a process that is root of its own namespaces alone.
const inNamespace = "PROPENSITY_TEST_NAMESPACE"

// asRoot says that the test may go on as root. Who is not runs the test once more, as
// root of a user namespace and a mount namespace of its own, which most systems grant
// everyone (user_namespaces(7)), and is done with it.
func asRoot(t *testing.T) bool {
	t.Helper()
	if os.Getuid() == 0 {
		return true
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	again := exec.Command(program, "-test.run=^"+t.Name()+"$", "-test.v")
	again.Env = append(os.Environ(), inNamespace+"=1")
	again.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := again.CombinedOutput()
	exit := new(exec.ExitError)
	switch {
	case err != nil && !errors.As(err, &exit):
		t.Skipf("this needs root, or a system that grants user namespaces: %v", err)
	case err != nil:
		t.Fatalf("as root of a namespace: %v\n%s", err, out)
	case !strings.Contains(string(out), "--- PASS: "+t.Name()):
		t.Skipf("as root of a namespace:\n%s", out)
	}
	return false
}
