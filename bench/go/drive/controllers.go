package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	// Nothing was changed for so long: what a start had to do is done. Ours tells numbers that differ
	// two seconds after it.
	settled = 3 * time.Second
	// The same, of what needs no controller.
	calm = time.Second / 2
	// A removal follows so long after the creation.
	kept = 2 * time.Second
	// A contender that isn't a program.
	theWriteAlone = "the write alone"
	theListsAlone = "the lists alone"
)

// site is an API server with objects, and who watches it.
type site struct {
	*filler
	*watcher
	canaries int
	limit    time.Duration
}

func newSite(ctx context.Context, given options) (*site, error) {
	server, err := connect(given.kubeconfig)
	if err != nil {
		return nil, err
	}
	watcher, err := watchAll(ctx, server)
	return &site{filler: &filler{server: server}, watcher: watcher, limit: given.limit}, err
}

// begin starts a contender and returns how long it took until it answered a change that was made
// before: an attachment that nobody has judged yet.
func (s *site) begin(ctx context.Context, one contender) (*child, time.Duration, error) {
	s.canaries++
	canary := fmt.Sprintf("canary-%d-%d", time.Now().UnixNano(), s.canaries)
	if err := s.attachment(ctx, canary, 0); err != nil {
		return nil, 0, err
	}
	defer func() { _ = s.removeAttachment(ctx, canary) }()
	if err := s.quiet(ctx, calm, s.limit); err != nil {
		return nil, 0, err
	}
	begin := time.Now()
	started, err := start(one)
	if err != nil {
		return nil, 0, err
	}
	for {
		at, err := s.readyAt(canary)
		if err == nil && !at.IsZero() {
			return started, at.Sub(begin), nil
		}
		if err == nil && time.Since(begin) > s.limit {
			err = fmt.Errorf("start %s: no attachment was judged within %s", one.Name, s.limit)
		}
		if err == nil {
			select {
			case <-ctx.Done():
				err = ctx.Err()
			case ended := <-started.ended:
				err = fmt.Errorf("start %s: it ended: %v", one.Name, ended)
			case <-time.After(time.Millisecond):
			}
		}
		if err != nil {
			started.kill()
			return nil, 0, err
		}
	}
}

// inTurn calls work for each contender, in this order and then in the other.
func inTurn(rounds int, contenders []contender, work func(round int, one contender) error) error {
	for round := range rounds {
		for i := range contenders {
			if round%2 == 1 {
				i = len(contenders) - 1 - i
			}
			if err := work(round, contenders[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func cold(ctx context.Context, given options, contenders []contender) error {
	sizes, err := numbers(given.sizes)
	if err != nil {
		return err
	}
	here, err := newSite(ctx, given)
	if err != nil {
		return err
	}
	before := 0
	for _, size := range sizes {
		if err := here.grow(ctx, before, size); err != nil {
			return fmt.Errorf("make %d pods: %w", size, err)
		}
		before = size
		// The first start writes all that is new; no other has anything to write then but the canary.
		for round := -1; round < given.rounds; round++ {
			all := append(append([]contender(nil), contenders...), contender{Name: theListsAlone})
			err := inTurn(1, turned(all, round), func(_ int, one contender) error {
				if one.Name == theListsAlone {
					return here.coldFloor(ctx, given.kubeconfig, size, round)
				}
				return here.coldStart(ctx, size, round, one)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func turned(contenders []contender, round int) []contender {
	order := append([]contender(nil), contenders...)
	if round%2 == 1 {
		for i := range order {
			order[i] = contenders[len(contenders)-1-i]
		}
	}
	return order
}

func (s *site) coldStart(ctx context.Context, size, round int, one contender) error {
	before := s.changed()
	running, took, err := s.begin(ctx, one)
	if err != nil {
		return err
	}
	defer running.kill()
	if err := s.quiet(ctx, settled, 4*s.limit); err != nil {
		return err
	}
	line, err := running.memory()
	if err != nil {
		return err
	}
	used, err := running.used()
	if err != nil {
		return err
	}
	if round >= 0 {
		line["part"], line["size"], line["way"], line["round"] = "cold", size, one.Name, round
		line["milliseconds"] = milliseconds(took)
		line["cpuSeconds"] = used.Seconds()
		line["writes"] = s.changed() - before
		say(line)
	}
	return running.stop()
}

// coldFloor: all lists that a controller of these kinds needs, at once, and nothing is read of them.
// None on this API server begins sooner.
func (s *site) coldFloor(ctx context.Context, kubeconfig string, size, round int) error {
	took, err := listAll(ctx, kubeconfig)
	if err == nil && round >= 0 {
		say(map[string]any{"part": "cold", "way": theListsAlone, "size": size, "round": round,
			"milliseconds": milliseconds(took)})
	}
	return err
}

func milliseconds(took time.Duration) float64 { return float64(took) / float64(time.Millisecond) }

func steady(ctx context.Context, given options, contenders []contender) error {
	rates, err := numbers(given.rates)
	if err != nil {
		return err
	}
	here, err := newSite(ctx, given)
	if err != nil {
		return err
	}
	return inTurn(given.turns, append(contenders, contender{Name: theWriteAlone}), func(turn int, one contender) error {
		if one.Name == theWriteAlone {
			return here.floor(ctx, rates, turn, given.seconds)
		}
		running, _, err := here.begin(ctx, one)
		if err != nil {
			return err
		}
		defer running.kill()
		if err := here.quiet(ctx, settled, here.limit); err != nil {
			return err
		}
		for _, rate := range rates {
			if err := here.changes(ctx, running, rate, turn, given.seconds); err != nil {
				return err
			}
		}
		if err := here.idle(ctx, running, turn, given.idle); err != nil {
			return err
		}
		return running.stop()
	})
}

// floor: what sees an attachment writes its status at once, in this process. No controller on this
// API server is faster.
func (s *site) floor(ctx context.Context, rates []int, turn int, long time.Duration) error {
	answer := func(to func(*unstructured.Unstructured)) {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.watcher.answer = to
	}
	// One that was removed meanwhile needs no answer.
	answer(func(attachment *unstructured.Unstructured) { _ = s.judge(ctx, attachment) })
	defer answer(nil)
	for _, rate := range rates {
		if err := s.changes(ctx, nil, rate, turn, long); err != nil {
			return err
		}
	}
	return nil
}

// usedBy is nothing for the floor.
func usedBy(running *child) (time.Duration, error) {
	if running == nil {
		return 0, nil
	}
	return running.used()
}

// changes makes `rate` changes a second: an attachment comes, one of two seconds ago goes, in turn.
func (s *site) changes(ctx context.Context, running *child, rate, turn int, long time.Duration) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	begin := time.Now()
	usedBefore, err := usedBy(running)
	if err != nil {
		return err
	}
	count := int(long.Seconds() * float64(rate) / 2)
	name := func(i int) string { return fmt.Sprintf("change-%d-%d", begin.UnixNano(), i) }
	behind := int(kept.Seconds() * float64(rate) / 2)
	// As many at once as a slow server may need; the pace is kept all the same.
	slots := make(chan struct{}, 64)
	do := func(work func() error) {
		slots <- struct{}{}
		go func() {
			defer func() { <-slots }()
			if err := work(); err != nil {
				cancel(err)
			}
		}()
	}
	next := begin
	pace := func() {
		next = next.Add(time.Second / time.Duration(rate))
		time.Sleep(time.Until(next))
	}
	for i := 0; i < count+behind && ctx.Err() == nil; i++ {
		if i < count && time.Since(begin) > 2*long {
			count = i // the server doesn't keep up: the pace is told, and the rest is left out
		}
		if i < count {
			do(func() error { return s.attachment(ctx, name(i), 0) })
		}
		pace()
		if i >= behind && i-behind < count {
			do(func() error { return s.removeAttachment(ctx, name(i-behind)) })
		}
		pace()
	}
	for range cap(slots) {
		slots <- struct{}{}
	}
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("make %d changes a second: %w", rate, err)
	}
	took := time.Since(begin)
	used, err := usedBy(running)
	if err != nil {
		return err
	}
	way := theWriteAlone
	if running != nil {
		way = running.name
	}
	// What wasn't answered before it was removed has taken at least so long.
	latencies, unanswered := s.latencies(count, name)
	say(map[string]any{
		"part": "steady", "way": way, "turn": turn, "rate": rate, "changes": 2 * count,
		"pace": float64(2*count) / (took - kept).Seconds(), "milliseconds": latencies, "unanswered": unanswered,
		"cpuSeconds": (used - usedBefore).Seconds(),
	})
	return s.quiet(ctx, settled, s.limit)
}

func (s *site) latencies(count int, name func(int) string) ([]float64, int) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	var found []float64
	unanswered := 0
	for i := range count {
		came, ready := s.came[name(i)], s.ready[name(i)]
		if ready.IsZero() {
			unanswered++
			found = append(found, milliseconds(kept))
			continue
		}
		found = append(found, milliseconds(ready.Sub(came)))
	}
	return found, unanswered
}

func (s *site) idle(ctx context.Context, running *child, turn int, long time.Duration) error {
	before, err := running.used()
	if err != nil {
		return err
	}
	changed := s.changed()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(long):
	}
	used, err := running.used()
	if err != nil {
		return err
	}
	say(map[string]any{
		"part": "idle", "way": running.name, "turn": turn, "seconds": long.Seconds(),
		"cpuSeconds": (used - before).Seconds(), "writes": s.changed() - changed,
	})
	return nil
}
