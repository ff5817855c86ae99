package engine_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/openspms/spms/internal/engine"
	"github.com/openspms/spms/internal/fault"
	"github.com/openspms/spms/internal/model"
)

// TestMigrate plays a case in one version, moves it to another and plays on; each
// line of want is what followed the move and every step after it.
func TestMigrate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		from, to string
		before   []string
		set      model.Mapping // beside what is proposed
		after    []string
		want     []string
	}{
		{
			name: "a task keeps resting, its boundary timer keeps its instant",
			from: "start s\nuser a\nboundary late on=a duration=PT4H\nuser chase\nend e\nend e2\nflow s -> a -> e\nflow late -> chase -> e2",
			to:   "start s\nuser a\nboundary late on=a duration=PT9H\nuser chase\nuser more\nend e\nend e2\nflow s -> a -> more -> e\nflow late -> chase -> e2",
			before: []string{
				"start", "wait PT1H",
			},
			after: []string{"wait PT3H", "tokens"},
			want: []string{
				"untimer", "timer late 2026-03-04T04:00:00Z", // what the move did
				"fire late 2026-03-04T04:00:00Z", "untask a", "abort a", "enter late chase", "task chase", "tokens chase:task",
			},
		},
		{
			name:   "a new boundary event begins with the move, one that is gone ends",
			from:   "start s\nuser a\nboundary m on=a message=hello\nend e\nend e2\nflow s -> a -> e\nflow m -> e2",
			to:     "start s\nuser a\nboundary late on=a duration=PT2H\nend e\nend e3\nflow s -> a -> e\nflow late -> e3",
			before: []string{"start", "wait PT1H"},
			after:  []string{"message hello", "wait PT2H"},
			want: []string{
				"unwait hello", "timer late 2026-03-04T03:00:00Z", "refused MESSAGE_NOT_EXPECTED",
				"fire late 2026-03-04T03:00:00Z", "untask a", "abort a", "enter late e3", "ended e3",
			},
		},
		{
			name:   "tokens at a join find their flows again",
			from:   "start s\nand split\nuser a\nuser b\nand join\nend e\nflow s -> split -> a -> join -> e\nflow split -> b -> join",
			to:     "start s\nand split\nuser a\nuser c\nuser b\nand join\nuser check\nend e\nflow s -> split -> a -> c -> join -> check -> e\nflow split -> b -> join",
			before: []string{"start", "complete b"},
			after:  []string{"complete a", "complete c", "complete check"},
			want:   []string{"done a", "enter c", "task c", "done c", "enter join check", "task check", "done check", "enter e", "ended e"},
		},
		{
			name:   "out of a task that is gone to the next",
			from:   "start s\nuser a\nuser b\nend e\nflow s -> a -> b -> e",
			to:     "start s\nuser z\nend e\nflow s -> z -> e",
			set:    model.Mapping{"a": "z", "b": "z"},
			before: []string{"start", "complete a"},
			after:  []string{"complete z"},
			want:   []string{"done z", "enter e", "ended e"},
		},
		{
			name:   "inside a subprocess and beside an event subprocess",
			from:   "var n int\nstart s\nsub inner\nstart s2 in=inner\nuser a in=inner\nend e2 in=inner\nend e\nflow s -> inner -> e\nflow s2 -> a -> e2",
			to:     "var n int default=3\nstart s\nsub inner\nstart s2 in=inner\nuser a in=inner\nuser b in=inner\nend e2 in=inner\nend e\nflow s -> inner -> e\nflow s2 -> a -> b -> e2\neventsub es\nstart stop in=es message=stop\nend over in=es\nflow stop -> over",
			before: []string{"start"},
			after:  []string{"show n", "complete a", "message stop"},
			want:   []string{"wait stop", "n = 3", "done a", "enter b", "task b", "unwait stop", "untask b", "abort b", "abort inner", "enter es stop over", "ended over"},
		},
		{
			name:   "a message wait with another name",
			from:   "start s\nreceive a message=old\nend e\nflow s -> a -> e",
			to:     "start s\nreceive a message=new\nend e\nflow s -> a -> e",
			before: []string{"start"},
			after:  []string{"message old", "message new"},
			want:   []string{"unwait old", "wait new", "refused MESSAGE_NOT_EXPECTED", "unwait new", "enter e", "ended e"},
		},
		{
			name:   "a failed token without a counterpart",
			from:   "var x int\nstart s\nscript c script=1/x result=x\nend e\nflow s -> c -> e",
			to:     "var x int\nstart s\nuser d\nend e\nflow s -> d -> e",
			before: []string{"start x:=0"},
			want:   []string{"refused MIGRATION_TOKEN_UNMAPPED"},
		},
		{
			name:   "what has completed can be undone where the new version can",
			from:   undoing + "\nflow s -> a -> lost -> p -> wait -> t -> e\nboundary ul on=lost compensate handler=undo_lost\nuser undo_lost undoes",
			to:     strings.ReplaceAll(undoing, "undo_a", "revoke_a") + "\nuser more\nflow s -> a -> lost -> p -> wait -> more -> t -> e",
			before: []string{"start", "complete a", "complete lost", "complete b"},
			after:  []string{"complete wait", "complete more", "complete undo_b", "complete revoke_a"},
			want: []string{
				"done wait", "enter more", "task more", "done more", "enter t undo_b", "task undo_b",
				"done undo_b", "enter revoke_a", "task revoke_a", "done revoke_a", "enter e", "ended e",
			},
		},
		{
			name:   "nothing is left to undo, the throw goes on",
			from:   undoing + "\nflow s -> a -> lost -> p -> wait -> t -> e",
			to:     elsewhere + "\nthrow t compensate\nend e\nflow s -> a -> lost -> p -> wait -> t -> e",
			before: []string{"start", "complete a", "complete lost", "complete b"},
			after:  []string{"complete wait"},
			want:   []string{"done wait", "enter t e", "ended e"},
		},
		{
			name:   "nothing is left to undo, the end ends",
			from:   undoing + "\nflow s -> a -> lost -> p -> wait -> t -> e",
			to:     elsewhere + "\nend e compensate\nflow s -> a -> lost -> p -> wait -> e",
			before: []string{"start", "complete a", "complete lost", "complete b"},
			after:  []string{"complete wait"},
			want:   []string{"done wait", "enter e", "ended e"},
		},
		{
			name:   "while something is undone",
			from:   undoing + "\nflow s -> a -> lost -> p -> wait -> t -> e",
			to:     undoing + "\nuser more\nflow s -> a -> lost -> p -> wait -> t -> more -> e",
			before: []string{"start", "complete a", "complete lost", "complete b", "complete wait"},
			after:  []string{"tokens", "complete undo_b", "complete undo_a", "complete more"},
			want: []string{
				"tokens t:undo undo_b:task", "done undo_b", "enter undo_a", "task undo_a",
				"done undo_a", "enter more", "task more", "done more", "enter e", "ended e",
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p, target := newPlay(t, tc.from), newPlay(t, tc.to).m
			for _, line := range tc.before {
				p.do(line)
			}
			mapping := model.ProposeMapping(p.m, target)
			for k, v := range tc.set {
				mapping[k] = v
			}
			old := p.m
			p.said = nil
			s := throughJSON(t, p.s)
			ev := engine.Event{Kind: engine.Migrated, Name: "v2", Mapping: mapping}
			out, err := engine.Migrate(old, target, &s, mapping, ev, p.now, nil)
			if err != nil {
				p.said = append(p.said, "refused "+fault.CodeOf(err))
			} else {
				p.m, p.s = target, s
				p.tell(slices.DeleteFunc(out, func(e engine.Effect) bool { return e.Kind == engine.TokenMigrated }))
				for _, line := range tc.after {
					p.do(line)
				}
				invariants(t, &p.s)
			}
			for i := range p.said {
				p.said[i] = strings.TrimSpace(p.said[i])
			}
			if diff := cmp.Diff(tc.want, p.said); diff != "" {
				t.Errorf("after the move (-want +got):\n%s", diff)
			}
			again := engine.State{}
			if err := json.Unmarshal(mustJSON(t, p.s), &again); err != nil || engine.Digest(p.m, &again) != engine.Digest(p.m, &p.s) {
				t.Errorf("the state changes on its way through JSON: %v", err)
			}
		})
	}
}

// undoing is a process without its flows that compensates what has completed, at its
// own level and in a subprocess.
const undoing = `start s
user a
boundary ua on=a compensate handler=undo_a
user undo_a undoes
user lost
sub p
start ps in=p
user b in=p
boundary ub on=b compensate handler=undo_b in=p
user undo_b undoes in=p
end pe in=p
flow ps -> b -> pe
user wait
throw t compensate
end e`

// elsewhere is undoing up to its end where another activity of the subprocess can be
// undone, and nothing that has completed.
const elsewhere = `start s
user a
user lost
sub p
start ps in=p
user b in=p
user c in=p
boundary uc on=c compensate handler=undo_c in=p
user undo_c undoes in=p
end pe in=p
flow ps -> b -> c -> pe
user wait`
