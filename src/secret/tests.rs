//! Secrets from real files, commands and a server; and that nothing of them is left in texts.

use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::sync::mpsc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::secret::encoding::forms;
use crate::secret::reference::Reference;
use crate::secret::scrub::Scrubber;
use crate::secret::scrub::Stream;
use crate::secret::source::table::Sources;
use crate::secret::value::BYTES_MAX;

/// A directory that goes away with this.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("stepfn-secret-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        Self(path.canonicalize().unwrap())
    }

    fn file(&self, name: &str, content: &[u8], mode: u32) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn sources(text: &str, directory: &Path) -> Result<Sources, String> {
    let table = toml::from_str(text).map_err(|error| error.to_string())?;
    Sources::new(table, directory).map_err(|error| error.to_string())
}

async fn get(sources: &Sources, name: &str, state_machine: Option<&str>) -> Result<(String, Option<String>), String> {
    let secret = sources.get(&Reference::named(name).unwrap(), state_machine).await;
    let secret = secret.map_err(|error| error.to_string())?;
    Ok((String::from_utf8_lossy(secret.expose()).into_owned(), secret.version))
}

#[tokio::test]
async fn a_file_is_read_if_nobody_else_could_read_or_replace_it() {
    let scratch = Scratch::new();
    scratch.file("db/good", b"canary\n", 0o600);
    scratch.file("db/two", b"canary\n\n", 0o400);
    scratch.file("db/group", b"canary", 0o640);
    scratch.file("db/world", b"canary", 0o604);
    scratch.file("db/executable", b"canary", 0o700);
    scratch.file("db/empty", b"\n", 0o600);
    scratch.file("db/large", &vec![b'x'; BYTES_MAX + 1], 0o600);
    scratch.file("db/largest", &vec![b'x'; BYTES_MAX], 0o600);
    scratch.file("loose/file", b"canary", 0o600);
    std::fs::set_permissions(scratch.0.join("loose"), PermissionsExt::from_mode(0o777)).unwrap();
    std::os::unix::fs::symlink("good", scratch.0.join("db/link")).unwrap();
    std::os::unix::fs::symlink("db", scratch.0.join("way")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        scratch.0.join("db/pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    let mut cases = vec![
        ("db/good", Ok("canary")),
        ("db/two", Ok("canary\n")),
        (
            "db/group",
            Err("has the mode 0640, which lets others in; `chmod 0400` mends it"),
        ),
        ("db/world", Err("has the mode 0604")),
        ("db/executable", Err("has the mode 0700")),
        ("db/empty", Err("it is empty")),
        ("db/large", Err("more than 65536 bytes")),
        (
            "loose/file",
            Err("has the mode 0777, which lets others in; `chmod go-w` mends it"),
        ),
        ("db/link", Err("is a symbolic link")),
        ("way/good", Err("is no directory, or a symbolic link")),
        ("db/pipe", Err("is no regular file")),
        ("db", Err("is no regular file")),
        ("db/good/x", Err("is no directory")),
        ("db/absent", Err("is not there")),
        ("db/good#field", Err("has no fields such as `#field`")),
    ];
    // Only the superuser can give files away.
    if rustix::process::geteuid().is_root() {
        let path = scratch.file("db/theirs", b"canary", 0o600);
        std::os::unix::fs::chown(path, Some(1), None).unwrap();
        cases.push(("db/theirs", Err("is owned by the user 1")));
    }
    let row = format!(
        "[[source]]\nmatch = '*'\nkind = 'file'\ndirectory = '{}'",
        scratch.0.display()
    );
    let all = sources(&row, Path::new("/")).unwrap();
    for (name, expected) in cases {
        match (get(&all, name, None).await, expected) {
            (Ok((value, None)), Ok(expected)) => assert_eq!(value, expected, "{name}"),
            (Err(why), Err(part)) => {
                assert!(why.contains(part) && !why.contains("canary"), "{name}: {why}");
            }
            (got, expected) => panic!("{name}: {got:?}, and not {expected:?}"),
        }
    }
    assert_eq!(get(&all, "db/largest", None).await.unwrap().0.len(), BYTES_MAX);
    let whole = sources(&format!("{row}\ntrim = false"), Path::new("/")).unwrap();
    assert_eq!(get(&whole, "db/good", None).await.unwrap().0, "canary\n");
    // It is read anew each time.
    scratch.file("db/good", b"rotated", 0o600);
    assert_eq!(get(&all, "db/good", None).await.unwrap().0, "rotated");
}

#[tokio::test]
async fn the_first_source_that_matches_counts() {
    let scratch = Scratch::new();
    scratch.file("one/db/a", b"first", 0o600);
    scratch.file("two/db/a", b"second", 0o600);
    scratch.file("two/b", b"second", 0o600);
    let text = "[[source]]\nmatch = 'db/*'\nkind = 'file'\ndirectory = 'one'\nstate_machines = ['deploy-*']\n\
                [[source]]\nmatch = 'b'\nkind = 'file'\ndirectory = 'two'";
    let sources = sources(text, &scratch.0).unwrap();
    assert_eq!(get(&sources, "db/a", Some("deploy-x")).await.unwrap().0, "first");
    assert_eq!(get(&sources, "b", Some("other")).await.unwrap().0, "second");
    let why = get(&sources, "db/a", Some("other")).await.unwrap_err();
    assert_eq!(why, "its source `db/*` is not for the state machine `other`");
    let why = get(&sources, "c", None).await.unwrap_err();
    assert_eq!(why, "no `[[secrets.source]]` of the configuration matches it");
}

#[tokio::test]
async fn a_command_gives_what_it_writes() {
    let scratch = Scratch::new();
    let exec = |command: &str| {
        format!(
            "[[source]]\nmatch = '*'\nkind = 'exec'\ncommand = ['sh', '-c', '{command}', 'sh', '{{name}}']\ntimeout_seconds = 1"
        )
    };
    for (command, expected) in [
        ("echo \"canary of $1\"", Ok("canary of db/a")),
        ("printf \"a\\nb\\n\"", Ok("a\nb")),
        ("env | grep -c =SECRET || true", Ok("0")),
        (
            "echo canary >&2; exit 3",
            Err("it ended with exit code 3; run it by hand to see why"),
        ),
        ("true", Err("it is empty")),
        ("kill -9 $$", Err("a signal ended it")),
        ("exec sleep 1000", Err("it took longer than 1 seconds")),
        ("head -c 100000 /dev/zero", Err("it writes more than 65536 bytes")),
    ] {
        let sources = sources(&exec(command), &scratch.0).unwrap();
        match (get(&sources, "db/a", None).await, expected) {
            (Ok((value, _)), Ok(expected)) => assert_eq!(value, expected, "{command}"),
            (Err(why), Err(part)) => assert!(why.contains(part) && !why.contains("canary"), "{command}: {why}"),
            (got, expected) => panic!("{command}: {got:?}, and not {expected:?}"),
        }
    }
    let absent = sources(
        "[[source]]\nmatch = '*'\nkind = 'exec'\ncommand = ['./absent']",
        &scratch.0,
    )
    .unwrap();
    let why = get(&absent, "a", None).await.unwrap_err();
    assert!(
        why.starts_with("what `./absent` writes cannot be read: it cannot be started"),
        "{why}"
    );
}

#[test]
fn a_source_says_only_what_its_kind_knows() {
    for (text, part) in [
        ("[[source]]\nkind = 'file'", "missing field `match`"),
        ("[[source]]\nmatch = ''\nkind = 'file'", "`match` is empty"),
        (
            "[[source]]\nmatch = '*'\nkind = 'aws-ssm'",
            "none of `credentials`, `exec`, `file`, `vault`",
        ),
        (
            "[[source]]\nmatch = '*'\nkind = 'file'\ndirektory = 'x'",
            "number 1 cannot be used: unknown field `direktory`",
        ),
        (
            "[[source]]\nmatch = '*'\nkind = 'exec'\ncommand = []",
            "`command` is empty",
        ),
        (
            "[[source]]\nmatch = '*'\nkind = 'exec'\ncommand = ['a']\ntimeout_seconds = 0",
            "from 1 to 300",
        ),
        (
            "[[source]]\nmatch = '*'\nkind = 'vault'\naddress = 'http://vault'\ntoken_file = 't'",
            "without TLS",
        ),
        ("[[sauce]]\nmatch = '*'", "unknown field `sauce`"),
    ] {
        let error = sources(text, Path::new("/")).unwrap_err();
        assert!(error.contains(part), "{text}: {error}");
    }
}

/// Answers one request as the key-value store does (version 2), and tells what was asked.
///
/// It stands for the real server: the shapes are those of its API documentation.
fn answer_once(status: &'static str, body: String) -> (u16, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        let mut buffer = [0; 4096];
        while !request.ends_with(b"\r\n\r\n") {
            let length = stream.read(&mut buffer).unwrap();
            request.extend_from_slice(&buffer[..length]);
        }
        sender.send(String::from_utf8(request).unwrap()).unwrap();
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nLocation: /elsewhere\r\nConnection: close\r\n\r\n{body}"
        )
        .unwrap();
    });
    (port, receiver)
}

#[tokio::test]
async fn vault_gives_a_field_of_a_secret() {
    let scratch = Scratch::new();
    scratch.file("token", b"s.token\n", 0o600);
    let found = json!({ "request_id": "1", "lease_id": "", "renewable": false,
        "data": { "data": { "value": "canary", "user": "app", "port": 1 },
            "metadata": { "created_time": "2026-11-24T00:00:00Z", "deletion_time": "", "destroyed": false, "version": 7 } } })
    .to_string();
    let deleted = json!({ "data": { "data": null, "metadata": { "version": 7 } } }).to_string();
    for (name, status, body, expected) in [
        ("db/password", "200 OK", found.clone(), Ok("canary")),
        ("db/password#user", "200 OK", found.clone(), Ok("app")),
        (
            "db/password#port",
            "200 OK",
            found.clone(),
            Err("its field `port` is no text"),
        ),
        ("db/password#absent", "200 OK", found, Err("it has no field `absent`")),
        ("db/password", "404 Not Found", deleted, Err("there is no such secret")),
        (
            "db/password",
            "403 Forbidden",
            "{\"errors\":[\"permission denied\"]}".to_owned(),
            Err("the token may not read it"),
        ),
        ("db/password", "302 Found", String::new(), Err("status code 302")),
        (
            "db/password",
            "200 OK",
            "canary".to_owned(),
            Err("the answer is not JSON"),
        ),
        (
            "db/password",
            "200 OK",
            "x".repeat(2 << 20),
            Err("more than 1048576 bytes"),
        ),
    ] {
        let (port, asked) = answer_once(status, body);
        let text = format!(
            "[[source]]\nmatch = '*'\nkind = 'vault'\naddress = 'http://127.0.0.1:{port}'\n\
                            token_file = 'token'\nmount = 'kv/team'\nnamespace = 'ops'"
        );
        let sources = sources(&text, &scratch.0).unwrap();
        match (get(&sources, name, None).await, expected) {
            (Ok((value, version)), Ok(expected)) => assert_eq!((&*value, version.as_deref()), (expected, Some("7"))),
            (Err(why), Err(part)) => {
                let is_clean = !why.contains("canary") && !why.contains("s.token");
                assert!(why.contains(part) && is_clean, "{name}: {why}");
            }
            (got, expected) => panic!("{name}: {got:?}, and not {expected:?}"),
        }
        let asked = asked.recv().unwrap().to_ascii_lowercase();
        assert!(
            asked.starts_with("get /v1/kv/team/data/db/password http/1.1\r\n"),
            "{asked}"
        );
        assert!(asked.contains("\r\nx-vault-token: s.token\r\n"), "{asked}");
        assert!(asked.contains("\r\nx-vault-namespace: ops\r\n"), "{asked}");
    }
    scratch.file("token", b"s.token\n", 0o644);
    let text = "[[source]]\nmatch = '*'\nkind = 'vault'\naddress = 'http://127.0.0.1:1'\ntoken_file = 'token'";
    let why = get(&sources(text, &scratch.0).unwrap(), "a", None).await.unwrap_err();
    assert!(
        why.contains("its token or its certificates cannot be had") && why.contains("0644"),
        "{why}"
    );
}

/// Numbers by chance (xorshift), from a seed that the test prints.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % limit
    }

    fn bytes(&mut self, length: usize, alphabet: &[u8]) -> Vec<u8> {
        (0..length).map(|_| alphabet[self.below(alphabet.len())]).collect()
    }
}

fn pushed(scrubber: &Arc<Scrubber>, text: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut stream = Stream::new(Arc::clone(scrubber));
    let mut out = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let most = [1, 3, 20, 1000][chance.below(4)];
        let (piece, others) = rest.split_at(1 + chance.below(most.min(rest.len())));
        out.extend_from_slice(&stream.push(piece));
        rest = others;
    }
    out.extend(stream.finish());
    out
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[test]
fn no_secret_survives_in_any_form_and_nothing_else_changes() {
    let seed = match std::env::var("STEPFN_TEST_SEED") {
        Ok(seed) => seed.parse().unwrap(),
        Err(_) => u64::from(std::process::id()) << 20 | 1,
    };
    eprintln!("STEPFN_TEST_SEED={seed}");
    let mut chance = Chance(seed);
    let every_byte: Vec<u8> = (0..=255).collect();
    for round in 0..300 {
        // A small alphabet makes secrets that overlap themselves and each other.
        let alphabet: &[u8] = [&b"ab"[..], b"abc\"\\/\n %'", &every_byte, b"0123456789abcdefXYZ+-_.~"][round % 4];
        let secrets: Vec<Vec<u8>> = (0..=chance.below(3))
            .map(|_| {
                let length = 6 + chance.below(40);
                chance.bytes(length, alphabet)
            })
            .collect();
        let names = ["one", "two", "three"];
        let rows = secrets.iter().zip(names).map(|(value, name)| (name, value.as_slice()));
        let scrubber = Arc::new(Scrubber::new(rows).unwrap());
        let mut text = Vec::new();
        for _ in 0..20 {
            let noise = chance.below(30);
            text.extend(chance.bytes(noise, b"abcdefgh \n{}:\",="));
            let secret = &secrets[chance.below(secrets.len())];
            match chance.below(4) {
                0 => text.extend_from_slice(secret),
                1 => {
                    let all = forms(secret);
                    text.extend_from_slice(&all[chance.below(all.len())]);
                }
                // Somewhere inside what is encoded as a whole.
                kind => {
                    let (before, after) = (chance.below(5), chance.below(5));
                    let mut whole = chance.bytes(before, b"xyz:");
                    whole.extend_from_slice(secret);
                    whole.extend(chance.bytes(after, b"xyz:"));
                    text.extend(match kind {
                        2 => STANDARD.encode(&whole).into_bytes(),
                        _ => URL_SAFE_NO_PAD.encode(&whole).into_bytes(),
                    });
                }
            }
        }
        let hidden = pushed(&scrubber, &text, &mut chance);
        for secret in &secrets {
            for form in forms(secret) {
                assert!(
                    !contains(&hidden, &form),
                    "seed {seed}, round {round}: {:?}",
                    String::from_utf8_lossy(&form)
                );
            }
        }
        // What is not in the alphabet of any form stays, byte for byte.
        let length = chance.below(3000);
        let other = chance.bytes(length, "ÄÖÜ#!?\t\u{1}".as_bytes());
        assert_eq!(
            pushed(&scrubber, &other, &mut chance),
            other,
            "seed {seed}, round {round}"
        );
    }
}

#[test]
fn a_mark_stands_in_the_place_of_a_secret() {
    let scrubber = Arc::new(Scrubber::new([("db/a", &b"abcdef"[..]), ("b", b"defghi"), ("short", b"12345")]).unwrap());
    for (text, expected) in [
        ("x abcdef y", "x [secret db/a] y"),
        ("abcdefabcdef", "[secret db/a][secret db/a]"),
        // The end of one is the beginning of the other.
        ("abcdefghi!", "[secret db/a]!"),
        ("abcde", "abcde"),
        ("12345", "12345"),
        ("{\"a\":\"YWJjZGVm\"}", "{\"a\":\"[secret db/a]\"}"),
    ] {
        assert_eq!(scrubber.text(text), expected);
        for n in 1..=text.len() {
            let mut stream = Stream::new(Arc::clone(&scrubber));
            let mut out = Vec::new();
            for piece in text.as_bytes().chunks(n) {
                out.extend_from_slice(&stream.push(piece));
            }
            out.extend(stream.finish());
            assert_eq!(String::from_utf8(out).unwrap(), expected, "{text} in pieces of {n}");
        }
    }
    // What cannot begin a secret does not wait for more.
    let mut stream = Stream::new(Arc::clone(&scrubber));
    assert_eq!(&*stream.push(b"50 % done"), b"50 % done");
    assert_eq!(&*stream.push(b"\nabc"), b"\n");
    assert_eq!(&*stream.push(b"xyz"), b"abcxyz");
    let mut value = json!({ "k abcdef": ["abcdef", 1, { "b": "x" }], "n": 123456 });
    scrubber.value(&mut value);
    assert_eq!(
        value,
        json!({ "k [secret db/a]": ["[secret db/a]", 1, { "b": "x" }], "n": 123456 })
    );
    Scrubber::new([("pin", &b"123456"[..])]).unwrap().value(&mut value);
    assert_eq!(value["n"], json!("[secret pin]"));
}

#[test]
fn memory_is_bounded_by_the_longest_form() {
    let scrubber = Arc::new(Scrubber::new([("a", &b"aaaaaaaaaa"[..])]).unwrap());
    let mut stream = Stream::new(scrubber);
    let mut n_bytes = 0;
    for _ in 0..1000 {
        n_bytes += stream.push(&[b'a'; 100]).len();
        assert!(stream.n_waiting() < 200);
    }
    // All of it is one secret after another, each overlapping the next.
    assert!(n_bytes + stream.finish().len() < 20);
}
