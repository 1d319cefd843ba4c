//! What a task's process gets, and what goes wrong with it.

use std::fs;
use std::io;

use serde_json::json;
use stepfn::worker::process;
use stepfn::worker::spawn::identity::Identities;
use stepfn::worker::spawn::wire::Claim;

use crate::block_on;
use crate::isolations;
use crate::nursery;
use crate::own_pid;
use crate::plain;
use crate::run;
use crate::scratch::SHELL;
use crate::scratch::Scratch;
use crate::scratch::stderr;
use crate::scratch::stdout;
use crate::script;
use crate::spawnd_of;
use crate::spec;

#[test]
fn a_process_gets_nothing_that_was_not_given_to_it() {
    for (isolation, rung) in isolations() {
        block_on(async {
            let nursery = nursery(isolation, Identities::Nobody);
            let text = "ls /proc/self/fd | tr '\\n' ' '; echo; env | cut -d= -f1 | sort | tr '\\n' ' '; echo; umask; \
                        ulimit -c; grep -E '^(NoNewPrivs|SigBlk|SigIgn):' /proc/self/status; ps -o sid= -p $$ > /dev/null; \
                        test -t 0 || echo no terminal";
            let mut wanted = script(text);
            wanted.env.insert("MINE".to_owned(), "é".to_owned());
            let left = run(&wanted, &nursery, &Claim::default()).await.unwrap();
            nursery.end_all().await;
            let mut lines = left.stdout.lines();
            // The fourth is the directory that `ls` reads.
            assert_eq!(lines.next(), Some("0 1 2 3 "), "{isolation:?}");
            let names = lines
                .next()
                .unwrap()
                .replace("PWD ", "")
                .replace("SHLVL ", "")
                .replace("_ ", "");
            assert_eq!(names, "HOME LANG MINE PATH STEPFN_TASK USER ", "{left:?}");
            let rest: Vec<&str> = lines.collect();
            let expected = [
                "0077",
                "0",
                "SigBlk:\t0000000000000000",
                "SigIgn:\t0000000000000000",
                "NoNewPrivs:\t1",
                "no terminal",
            ];
            for line in expected {
                assert!(rest.contains(&line), "{isolation:?} lacks {line}: {left:?}");
            }
            assert_eq!(left.ran.rung.number(), rung);
            assert_eq!((left.status.success(), &*left.stderr), (true, ""));
        });
    }
}

#[test]
fn statuses_come_out_as_they_are() {
    for (isolation, _) in isolations() {
        block_on(async {
            use std::os::unix::process::ExitStatusExt;
            let nursery = nursery(isolation, Identities::Nobody);
            // 34 is a real-time signal, which has no name.
            for (text, code, signal) in [
                ("exit 0", Some(0), None),
                ("exit 7", Some(7), None),
                ("kill -9 $$", None, Some(9)),
                ("kill -15 $$", None, Some(15)),
                ("kill -34 $$", None, Some(34)),
                ("sleep 1000 & exit 3", Some(3), None),
            ] {
                let left = run(&script(text), &nursery, &Claim::default()).await.unwrap();
                let found = (left.status.code(), left.status.signal());
                assert_eq!(found, (code, signal), "{isolation:?} {text}");
            }
            nursery.end_all().await;
        });
    }
}

#[test]
fn what_cannot_be_started_says_why() {
    let scratch = Scratch::new("spawn-failures");
    scratch.write("data", "no program");
    scratch.write("lost", "#!/no/such/interpreter\n");
    scratch.write("text", "neither a script nor a binary");
    use std::os::unix::fs::PermissionsExt;
    for name in ["lost", "text"] {
        fs::set_permissions(scratch.0.join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = |name: &str| scratch.0.join(name).to_string_lossy().into_owned();
    let (data, lost, text) = (path("data"), path("lost"), path("text"));
    let long = "x".repeat(200_000);
    let all = [
        (
            vec!["/no/such"],
            None,
            io::ErrorKind::NotFound,
            "there is no such program",
        ),
        (
            vec!["no-such-program"],
            None,
            io::ErrorKind::NotFound,
            "there is no such program",
        ),
        (vec![], None, io::ErrorKind::NotFound, "no program is named"),
        (vec![""], None, io::ErrorKind::NotFound, "no program is named"),
        (
            vec![&*data],
            None,
            io::ErrorKind::PermissionDenied,
            "may not execute it",
        ),
        (
            vec![&*lost],
            None,
            io::ErrorKind::PermissionDenied,
            "the interpreter that it names",
        ),
        (vec![&*text], None, io::ErrorKind::PermissionDenied, "Exec format error"),
        (vec!["/"], None, io::ErrorKind::PermissionDenied, "may not execute it"),
        (
            vec!["true", &*long],
            None,
            io::ErrorKind::ArgumentListTooLong,
            "longer than the system takes",
        ),
        (vec!["true", "a\0b"], None, io::ErrorKind::Other, "cannot hold a NUL"),
        (
            vec!["true"],
            Some("/no/such"),
            io::ErrorKind::NotFound,
            "there is no directory `/no/such`",
        ),
        (vec!["true"], Some(&*data), io::ErrorKind::NotFound, "cannot be entered"),
    ];
    for (isolation, _) in isolations() {
        block_on(async {
            let nursery = nursery(isolation, Identities::Nobody);
            for (argv, cwd, kind, part) in &all {
                let mut wanted = spec(argv);
                wanted.cwd = cwd.map(Into::into);
                let error = run(&wanted, &nursery, &Claim::default()).await.unwrap_err();
                assert!(error.to_string().contains(part), "{argv:.40?} {cwd:?}: {error}");
                assert_eq!(error.kind(), *kind, "{argv:.40?} {cwd:?}: {error}");
            }
            // None of them did harm.
            let left = run(&spec(&["echo", "on"]), &nursery, &Claim::default()).await.unwrap();
            assert_eq!(left.stdout, "on\n");
            nursery.end_all().await;
        });
    }
}

#[test]
fn a_request_that_no_process_could_take_is_refused_before_it_is_sent() {
    block_on(async {
        let nursery = plain();
        let error = run(&spec(&["true", &"x".repeat(9 << 20)]), &nursery, &Claim::default()).await;
        assert!(error.unwrap_err().to_string().contains("longer than the system takes"));
        let left = run(&spec(&["echo", "on"]), &nursery, &Claim::default()).await.unwrap();
        assert_eq!(left.stdout, "on\n");
        nursery.end_all().await;
    });
}

#[test]
fn closed_pipes_and_any_output_are_taken() {
    let scratch = Scratch::new("spawn-output");
    scratch.task(SHELL);
    let run = |script: &str| scratch.run_with_input(&json!({ "Script": script }), &["--no-quotas"]);
    let output = run("exec 0<&- 1>&- 2>&-; sleep 0.2; exit 0");
    assert_eq!(stdout(&output)["Stdout"], "");
    let output = run("exec 1>&-; echo x >&2; exit 9");
    assert!(stderr(&output).contains("Shell.NonZeroExit"), "{output:?}");
    // Not text: it is shown as well as it can be.
    let output = run("printf '\\377\\000\\376'");
    assert_eq!(stdout(&output)["Stdout"], "\u{fffd}\0\u{fffd}");
    let output = run("head -c 20000000 /dev/zero | tr '\\0' x");
    assert_eq!(stdout(&output)["Stdout"].as_str().unwrap().len(), 20_000_000);
    let output = run("head -c 3000000 /dev/urandom >&2; echo done");
    assert_eq!(stdout(&output)["Stdout"], "done");
    let output = scratch.run_with_input(&json!({ "Script": "cat /dev/zero" }), &[]);
    assert!(stderr(&output).contains("States.DataLimitExceeded"), "{output:?}");
}

#[test]
fn a_process_that_goes_on_can_be_talked_to_and_ended() {
    use tokio::io::AsyncBufReadExt;
    use tokio::io::AsyncWriteExt;
    for (isolation, _) in isolations() {
        block_on(async {
            let nursery = nursery(isolation, Identities::Nobody);
            let (mut child, _) = process::start(&spec(&["cat"]), &nursery, &Claim::default())
                .await
                .unwrap();
            let mut lines = tokio::io::BufReader::new(child.stdout.take().unwrap()).lines();
            for n in 0..3 {
                let line = format!("line {n}\n");
                child.stdin.as_mut().unwrap().write_all(line.as_bytes()).await.unwrap();
                assert_eq!(lines.next_line().await.unwrap().as_deref(), Some(line.trim()));
            }
            child.end().await;
            assert!(!child.wait().await.unwrap().success());
            // One that nobody wants any more ends, too.
            let seconds = format!("3600.{}", own_pid());
            let (child, _) = process::start(&spec(&["sleep", &seconds]), &nursery, &Claim::default())
                .await
                .unwrap();
            drop(child);
            nursery.end_all().await;
            assert_eq!(crate::processes_with(&seconds), Vec::<i32>::new());
        });
    }
}

#[test]
fn many_short_tasks_leave_no_descriptor_and_no_process() {
    const N_TASKS: usize = 10_000;
    const N_AT_ONCE: usize = 8;
    let descriptors = |pid: i32| fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    let children = |pid: i32| {
        let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        list.split_ascii_whitespace().count()
    };
    // A process of its own: other tests of this one open files, too.
    let scratch = Scratch::new("spawn-many");
    let task = json!({ "Type": "Task", "Resource": SHELL, "Parameters": { "Command": ["/bin/true"] },
        "ResultSelector": {}, "End": true });
    let map = |n: usize| {
        json!({ "Type": "Map", "ItemsPath": "$.items", "MaxConcurrency": N_AT_ONCE, "ResultPath": null,
            "ItemProcessor": { "StartAt": format!("T{n}"), "States": { format!("T{n}"): task } },
            "Next": format!("Look{n}") })
    };
    // In between, the machine looks at its own engine and at the process that starts tasks.
    let look = |next: &str| {
        let command = json!({ "Command": ["sh", "-c", "echo up >&2; cat fifo"] });
        json!({ "Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:Look",
            "Parameters": command, "ResultPath": null, "Next": next })
    };
    scratch.write(
        "map.toml",
        "[[mapping]]\nresource = '*Look'\ncommand = ['sh', '-c', 'echo up >&2; cat fifo > /dev/null; echo null']\n",
    );
    let fifo = scratch.0.join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    scratch.machine(
        json!({ "M0": map(0), "Look0": look("M1"), "M1": map(1), "Look1": look("Done"),
        "Done": { "Type": "Pass", "Result": "done", "End": true } }),
    );
    let items: Vec<usize> = (0..N_TASKS / 2).collect();
    scratch.write("input.json", &json!({ "items": items }).to_string());
    let mut child = scratch
        .command(&[
            "run",
            "m.asl.json",
            "--map",
            "map.toml",
            "--no-quotas",
            "--input",
            "@input.json",
        ])
        .stderr(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let engine = i32::try_from(child.id()).unwrap();
    let mut lines = io::BufRead::lines(io::BufReader::new(child.stderr.take().unwrap())).map(Result::unwrap);
    let mut before = None;
    for _ in 0..2 {
        assert!(lines.any(|line| line.ends_with("| up")));
        let spawnd = spawnd_of(engine).unwrap();
        let count = || [descriptors(engine), descriptors(spawnd), children(spawnd)];
        let first = *before.get_or_insert_with(count);
        // What a count catches in the making is gone a moment later.
        let begin = std::time::Instant::now();
        while count().iter().zip(first).any(|(now, first)| *now > first) {
            assert!(begin.elapsed().as_secs() < 20, "{:?} after {first:?}", count());
            std::thread::yield_now();
        }
        assert_eq!(children(spawnd), 1);
        fs::write(&fifo, "go").unwrap();
    }
    assert_eq!(lines.filter(|line| line.starts_with("error")).count(), 0);
    let output = child.wait_with_output().unwrap();
    assert_eq!(stdout(&output), "done");
}

#[test]
fn a_container_that_hides_the_newer_call_does_not_matter() {
    let scratch = Scratch::new("spawn-enosys");
    scratch.task(SHELL);
    for (isolation, rung) in isolations() {
        let input = json!({ "Script": "sleep 1000 & echo on" }).to_string();
        let output = std::process::Command::new("strace")
            .args(["-f", "-qq", "-o", "trace", "-e", "trace=clone3"])
            .args(["-e", "inject=clone3:error=ENOSYS", env!("CARGO_BIN_EXE_stepfn")])
            .args([
                "run",
                "m.asl.json",
                "--input",
                &input,
                "--isolation",
                isolation.as_str(),
            ])
            .current_dir(&scratch.0)
            .output()
            .unwrap();
        let trace = fs::read_to_string(scratch.0.join("trace")).unwrap();
        assert!(trace.contains("ENOSYS"), "{trace}");
        match rung {
            // It is told, and not made good by less.
            3 => assert!(stderr(&output).contains("a namespace cannot be made"), "{output:?}"),
            _ => assert_eq!(stdout(&output)["Stdout"], "on", "{isolation:?}"),
        }
    }
}

#[test]
fn a_process_can_have_one_pipe_for_both_and_be_ended_from_elsewhere() {
    use std::io::Read;
    for (isolation, _) in isolations() {
        block_on(async {
            let nursery = nursery(isolation, Identities::Nobody);
            let (mut reader, writer) = io::pipe().unwrap();
            let stdio = [
                fs::File::open("/dev/null").unwrap().into(),
                writer.try_clone().unwrap().into(),
                writer.into(),
            ];
            let wanted = script(
                "trap '' TERM; env | grep -c -v -e '^_=' -e '^SHLVL='; echo two >&2; exec 1>&- 2>&-; while :; do sleep 1; done",
            );
            let started = process::start_with(&wanted, stdio, &nursery, &Claim::default()).await;
            let (mut child, _) = started.unwrap();
            let mut said = String::new();
            reader.read_to_string(&mut said).unwrap();
            // The mark, and `PWD` of the shell.
            assert_eq!(said, "2\ntwo\n");
            let ender = child.ender();
            let wait = tokio::spawn(async move { child.wait().await });
            ender.kill();
            use std::os::unix::process::ExitStatusExt;
            assert_eq!(wait.await.unwrap().unwrap().signal(), Some(9), "{isolation:?}");
            nursery.end_all().await;
        });
    }
}
