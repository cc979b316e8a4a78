package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

type contender struct {
	Name string   `json:"name"`
	Argv []string `json:"argv"`
	URL  string   `json:"url"`
}

// child is a contender that runs.
type child struct {
	name    string
	command *exec.Cmd
	ended   chan error
}

func start(one contender) (*child, error) {
	command := exec.Command(one.Argv[0], one.Argv[1:]...)
	command.Stderr = os.Stderr
	// As in a container: a machine's own settings, such as another file of CAs, are no contender's.
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent"}
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return nil, err
	}
	started := &child{one.Name, command, make(chan error, 1)}
	go func() { started.ended <- command.Wait() }()
	return started, nil
}

// stop lets it give back its lease.
func (c *child) stop() error {
	if err := c.command.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-c.ended:
		return nil
	case <-time.After(30 * time.Second):
		c.kill()
		return fmt.Errorf("stop %s: still there after 30 s", c.name)
	}
}

func (c *child) kill() {
	_ = c.command.Process.Kill()
}

// used is what all its threads took of processors, the kernel on their behalf too.
func (c *child) used() (time.Duration, error) {
	// A process's clock: clock_getcpuclockid(3).
	clock := int32(^c.command.Process.Pid)<<3 | 2
	var now unix.Timespec
	if err := unix.ClockGettime(clock, &now); err != nil {
		return 0, fmt.Errorf("read the processor time of %s: %w", c.name, err)
	}
	return time.Duration(now.Nano()), nil
}

// memory in KiB: resident now, of that what no file holds, the highest ever.
func (c *child) memory() (map[string]any, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.command.Process.Pid))
	if err != nil {
		return nil, err
	}
	found := map[string]any{}
	for _, line := range strings.Split(string(text), "\n") {
		name, rest, _ := strings.Cut(line, ":")
		key := map[string]string{"VmRSS": "rssKiB", "RssAnon": "anonymousKiB", "VmHWM": "highestKiB"}[name]
		if key == "" {
			continue
		}
		if found[key], err = strconv.Atoi(strings.Fields(rest)[0]); err != nil {
			return nil, err
		}
	}
	return found, nil
}
