// Package jobs runs work outside the process that asked for it, one process a
// job, and keeps everything about a job in a folder of plain files. It knows
// nothing of notebooks, policies or networks: a job is a Spec (what to run, as
// canonical JSON), and a Handler, found by the Spec's kind, runs it.
//
//	study, err := jobs.OpenStudy(jobs.DefaultStudy(notebookDir))
//	batch, err := study.Submit(jobs.Batch{Title: "spos", Specs: specs}) // returns at once
//	err = batch.Wait(ctx)
//	for _, job := range batch.Jobs() {
//		status := job.Status()
//		result, err := job.Result()
//	}
//
// Submitting the same Spec again finds the same job, because a job's id is the
// hash of its Spec: finished, running, or to be run again if it had failed.
//
// # A study
//
// A study is a folder. Paths names the files of a job, StudyPaths the others.
//
//	study.json            the version that wrote it
//	queue.log             ids in the order in which they were submitted
//	runner.lock           held by the study's runner
//	runner.log            what the runner had to say
//	batches/<id>.json     which jobs were submitted together
//	jobs/<id>/job.json    the Spec
//	         events.jsonl what happened, one JSON object a line, append-only
//	         result.json  the result and where it came from, written once
//	         checkpoint   what a handler saved to go on from, checksummed
//	         checkpoint.old   the one before it, for when the newest is damaged
//	         files/       what a handler, or a program that it runs, keeps of its own
//	         stderr.log   what the worker printed, bounded
//	         cancel       somebody wants it stopped
//	         hold         somebody does not want it started
//	         lock         held by the one process that may write here
//	         place.json   where it is to run, if not in one slot of this machine
//	         attempts/<n> results that a fresh attempt set aside
//	slurm/state.json      what SLURM last said of its tasks
//	slurm/<id>/array.json an array that SLURM was given: its number and options
//	           job.sh     the script as it was submitted
//	           tasks      the job of each task, a line each
//	           out.<n>    what task n printed before its worker began
//	           probe.sh   a job that was sent to see what the node of a task sees
//
// # Processes
//
// The worker (Work, Worker) runs one job. It takes a slot of the host, then
// the job's lock, and holds both until it ends, so that both are free when it
// is killed. The runner (RunStudy) starts a study's workers and ends when
// nothing is left to do. It may die at any time: its workers go on, and the
// next command that looks at the study starts another (Study.Ensure). Workers
// and runner have sessions of their own and outlive whoever submitted.
//
// # SLURM
//
// A batch may ask for SLURM (Place). The runner gathers what waits with the same options,
// submits it as one array and follows its tasks with one squeue for all. A task is a worker
// as any other but for its slot: SLURM has given it its place. The array's folder is written
// before sbatch is called, with the name that SLURM will know it by, so a runner that dies in
// between has the next one find the array. What a job has come to is read off its folder, as
// always; SLURM is asked only why a task that ended left a job without a result. Where a task
// left nothing at all, a probe finds out whether its node sees the study and the program.
//
// # States
//
// A job's state is what its files say: the last event that moves it, a
// result.json of the current attempt, and whether the lock is held. Only the
// holder of the job's lock appends events. Nobody writes the move from running
// to lost: a job is lost when it has started, has no result, and its lock is
// free, and if it started on another host, whose locks may not be seen here, its
// worker has not touched the lock for a minute. These are all the moves:
//
//	(new)        -> pending      job.json     Submit
//	pending      -> running      start        worker
//	pending      -> failed       failed       worker (no handler), runner (worker cannot start)
//	pending      -> cancelled    cancelled    Cancel, worker
//	checkpointed -> running      start        worker
//	checkpointed -> failed       failed       runner (worker cannot start)
//	checkpointed -> cancelled    cancelled    Cancel, worker
//	preempted    -> running      start        worker
//	preempted    -> failed       failed       runner (worker cannot start)
//	preempted    -> cancelled    cancelled    Cancel, worker
//	running      -> done         done         worker
//	running      -> failed       failed       worker
//	running      -> cancelled    cancelled    worker
//	running      -> checkpointed checkpointed worker (told to stop, its state saved)
//	running      -> preempted    preempted    worker (told to stop, nothing saved)
//	running      -> lost         crashed      worker (the handler panicked)
//	lost         -> running      start        worker (started by hand)
//	lost         -> pending      retry        runner
//	lost         -> failed       failed       runner (died too often)
//	lost         -> cancelled    cancelled    Cancel, runner
//	lost         -> pending      queued       Submit, Retry
//	failed       -> pending      queued       Submit, Retry
//	cancelled    -> pending      queued       Submit, Retry
//	done         -> pending      queued       Submit (fresh)
//
// Waiting is pending, checkpointed or preempted: all three are started as soon as there is
// room for them, unless somebody holds them (a file named hold, which is no state: it moves
// nothing by itself).
//
// An attempt is one try at a job. Queued, retry, checkpointed and preempted begin the
// next one; events and results of older attempts no longer count.
//
// # Traps
//
// A reader may see the last line of events.jsonl half written: it is left for
// the next read. Damaged lines are skipped and counted. A job.json that was
// damaged is replaced when its Spec is submitted again. Locks are flock's: they
// hold on a local disk and between Linux hosts on NFS.
package jobs
