//! What only one task gets to know: where it is, who cannot read it, and that nothing of it is left.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use stepfn::worker::credential::Credential;
use stepfn::worker::nursery::Nursery;
use stepfn::worker::process;
use stepfn::worker::process::Child;
use stepfn::worker::process::Spec;
use stepfn::worker::spawn::identity::Identities;
use stepfn::worker::spawn::wire::Claim;
use tokio::io::AsyncBufReadExt;
use tokio::io::BufReader;

use crate::block_on;
use crate::doctor;
use crate::is_root;
use crate::isolations;
use crate::kill;
use crate::nursery;
use crate::run;
use crate::script;

const CANARY: &str = "canary-0f9d1c";

fn with_canary(text: &str) -> Spec {
    let mut spec = script(text);
    spec.credentials.push(Credential {
        name: "token".to_owned(),
        value: CANARY.as_bytes().to_vec().into(),
    });
    spec
}

/// Whether each task sees its credentials through mounts of its own.
fn is_private(number: u8) -> bool {
    let sentence = doctor()["credentials"].as_str().unwrap();
    number == 3 || sentence.contains("for this task alone")
}

/// Starts a task that says where its credentials are and then waits for the end of its input.
async fn held(nursery: &Nursery) -> (Child, i32, PathBuf) {
    let text = "echo $CREDENTIALS_DIRECTORY; read _ || true; cat $CREDENTIALS_DIRECTORY/token";
    let (mut child, ran) = process::start(&with_canary(text), nursery, &Claim::default())
        .await
        .unwrap();
    let mut line = String::new();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    stdout.read_line(&mut line).await.unwrap();
    child.stdout = Some(stdout.into_inner());
    (child, ran.pid, PathBuf::from(line.trim()))
}

#[test]
fn a_task_reads_its_credentials_from_files_that_nothing_else_says() {
    for (isolation, number) in isolations() {
        block_on(async {
            let nursery = nursery(isolation, Identities::Nobody);
            let text = "cat $CREDENTIALS_DIRECTORY/token; echo; stat -c '%a %u' $CREDENTIALS_DIRECTORY \
                        $CREDENTIALS_DIRECTORY/token; ls $CREDENTIALS_DIRECTORY; ulimit -c; stat -f -c %T \
                        $CREDENTIALS_DIRECTORY; cat /proc/self/environ /proc/self/cmdline /proc/$$/cmdline | tr '\\0' '\\n'; \
                        ls /proc/$$/fd | wc -l; touch $CREDENTIALS_DIRECTORY/new && echo wri''table";
            let left = run(&with_canary(text), &nursery, &Claim::default()).await.unwrap();
            nursery.end_all().await;
            let uid = rustix::process::geteuid().as_raw();
            let expected = [
                CANARY.to_owned(),
                format!("500 {uid}"),
                format!("400 {uid}"),
                "token".to_owned(),
            ];
            let lines: Vec<&str> = left.stdout.lines().collect();
            assert_eq!(lines[..4], expected, "{isolation:?} {left:?}");
            // Unit of the shell: blocks of 512 bytes, so one byte shows as none.
            assert_eq!(lines[4], "0");
            let places = doctor()["credentials"].as_str().unwrap();
            assert_eq!(
                lines[5] == "tmpfs",
                is_private(number) || !places.contains("on a disk"),
                "{left:?}"
            );
            assert_eq!(left.stdout.matches(CANARY).count(), 1, "{left:?}");
            // Root writes where modes forbid it, but not to what is mounted for reading.
            if is_private(number) {
                assert!(!left.stdout.contains("writable"), "{isolation:?} {left:?}");
            }
        });
    }
}

#[test]
fn no_other_path_leads_to_a_tasks_credentials() {
    for (isolation, number) in isolations() {
        block_on(async {
            let nursery = nursery(isolation, Identities::Nobody);
            let (mut child, pid, directory) = held(&nursery).await;
            let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
            let core = limits
                .lines()
                .find(|line| line.starts_with("Max core file size"))
                .unwrap();
            if number != 3 {
                let fields: Vec<&str> = core.split_whitespace().collect();
                assert_eq!(fields[4..6], ["1", "1"], "{core}");
            }
            let look = format!("cat {}/token || true; ls -A {0} || true", directory.display());
            let other = run(&script(&look), &nursery, &Claim::default()).await.unwrap();
            if is_private(number) {
                assert_eq!(other.stdout, "", "{isolation:?} {other:?}");
                assert!(!directory.join("token").exists(), "{}", directory.display());
            } else {
                assert!(directory.join("token").exists(), "{}", directory.display());
            }
            drop(child.stdin.take());
            let mut output = String::new();
            tokio::io::AsyncReadExt::read_to_string(&mut child.stdout.take().unwrap(), &mut output)
                .await
                .unwrap();
            assert_eq!(output, CANARY);
            child.wait().await.unwrap();
            assert!(!directory.join("token").exists(), "{}", directory.display());
            nursery.end_all().await;
        });
    }
}

#[test]
fn nothing_is_left_when_the_process_that_starts_tasks_is_killed() {
    for (isolation, _) in isolations() {
        block_on(async {
            let nursery = nursery(isolation, Identities::Nobody);
            let (mut child, pid, directory) = held(&nursery).await;
            // Other tests of this process have theirs.
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap();
            kill(parent.trim().parse().unwrap());
            child.wait().await.unwrap_err();
            // The next one cleans up, at once.
            nursery.ready().await.unwrap();
            assert!(!directory.join("token").exists(), "{}", directory.display());
            nursery.end_all().await;
        });
    }
}

#[test]
fn another_account_gets_its_own_and_nobody_elses() {
    if !is_root() {
        eprintln!("accounts are not tested here: this is not root");
        return;
    }
    let table = crate::scratch::Scratch::new("spawn-credentials-table");
    table.write("t.toml", "[[identity]]\nrole = '*'\nuser = 'nobody'\n");
    for (isolation, _) in isolations() {
        block_on(async {
            let nursery = nursery(isolation, Identities::Directory(table.0.clone()));
            let text = "id -un; cat $CREDENTIALS_DIRECTORY/token; stat -c ' %U %a' $CREDENTIALS_DIRECTORY; \
                        touch $CREDENTIALS_DIRECTORY/new 2> /dev/null || echo closed";
            let left = run(&with_canary(text), &nursery, &Claim::default()).await.unwrap();
            assert_eq!(
                left.stdout,
                format!("nobody\n{CANARY} nobody 500\nclosed\n"),
                "{isolation:?} {left:?}"
            );
            nursery.end_all().await;
        });
    }
}

#[test]
fn a_credential_that_cannot_be_given_starts_nothing() {
    block_on(async {
        let nursery = crate::plain();
        let mut spec = with_canary("echo started");
        spec.credentials[0].name = "../token".to_owned();
        let error = run(&spec, &nursery, &Claim::default()).await.unwrap_err().to_string();
        assert!(
            error.contains("cannot name a credential") && !error.contains(CANARY),
            "{error}"
        );
        nursery.end_all().await;
    });
    assert!(!Path::new("/run/stepfn/token").exists());
}
