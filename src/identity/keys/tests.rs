use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use super::*;

/// A directory of keys that is gone when the test is.
pub(crate) struct Scratch {
    pub(crate) root: PathBuf,
    pub(crate) keys: Arc<Keys>,
}

impl Scratch {
    pub(crate) fn new() -> Self {
        let number = getrandom::u64().unwrap();
        let root = std::env::temp_dir().join(format!("stepfn-keys-{number:016x}"));
        std::fs::create_dir(&root).unwrap();
        let keys = Arc::new(Keys::new(root.join("keys")));
        Self { root, keys }
    }

    pub(crate) fn make(&self, now: Timestamp, expires: Timestamp) -> New {
        self.keys.create(&me(), now, expires).unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join("keys").join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

pub(crate) fn me() -> String {
    User::from_uid(Uid::effective())
        .unwrap()
        .expect("tests run as a known user")
        .name
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_key_is_made_found_listed_and_revoked() {
    let scratch = Scratch::new();
    let server = Keys::new(scratch.keys.directory());
    assert!(server.find("AKIAAAAAAAAAAAAAAAAA").unwrap().is_none());
    assert!(server.list().unwrap().is_empty());
    let made = scratch.make(Timestamp(5), Timestamp(1000));
    assert_eq!((made.key.user.clone(), made.key.uid), (me(), Uid::effective().as_raw()));
    assert_eq!(mode(scratch.keys.directory()), 0o700);
    for name in [&file(&made.key.id), MACHINE_KEY] {
        assert_eq!(mode(&scratch.path(name)), 0o600, "{name}");
    }
    let found = server.find(&made.key.id).unwrap().unwrap();
    assert_eq!(found.secret.expose_secret(), made.secret.expose_secret());
    assert_eq!(found.key, made.key);
    assert!(server.has_user(&found.key, Timestamp(5)).unwrap());
    let stranger = Facts {
        user: "somebody-else".to_owned(),
        ..found.key
    };
    assert!(!server.has_user(&stranger, Timestamp(9_000)).unwrap());

    assert_eq!(server.list().unwrap()[0].used, None);
    server.used(&made.key.id, Timestamp(5));
    let listed = server.list().unwrap();
    assert_eq!((listed.len(), listed[0].key.as_ref().unwrap()), (1, &made.key));
    assert!(listed[0].used.is_some());

    let revoked = scratch.keys.revoke(&made.key.id, Timestamp(7)).unwrap();
    assert_eq!(revoked.revoked, Some(Timestamp(7)));
    assert!(server.find(&made.key.id).unwrap().is_none(), "at once");
    let again = scratch.keys.revoke(&made.key.id, Timestamp(8)).unwrap();
    assert_eq!(again.revoked, Some(Timestamp(7)));
    assert_eq!(
        server.list().unwrap()[0].key.as_ref().unwrap().revoked,
        Some(Timestamp(7))
    );
}

#[test]
fn what_is_not_there_is_said() {
    let scratch = Scratch::new();
    let create = |user: &str| {
        scratch
            .keys
            .create(user, Timestamp(0), Timestamp(1))
            .err()
            .unwrap()
            .to_string()
    };
    assert_eq!(
        create("no-such-user"),
        "there is no user `no-such-user` on this machine"
    );
    for id in ["AKIAAAAAAAAAAAAAAAAA", "", "../x", "AKIA../../../../../."] {
        let error = scratch.keys.revoke(id, Timestamp(0)).unwrap_err();
        assert_eq!(error.to_string(), format!("there is no key `{id}`"));
    }
    assert!(!scratch.keys.directory().exists(), "nothing was made");
}

#[test]
fn one_damaged_file_spoils_no_other_key() {
    let scratch = Scratch::new();
    let (good, bad) = (
        scratch.make(Timestamp(0), Timestamp(1)),
        scratch.make(Timestamp(0), Timestamp(1)),
    );
    let path = scratch.path(&file(&bad.key.id));
    let text = std::fs::read_to_string(&path).unwrap();
    let wants = |what: &str| {
        let error = scratch.keys.find(&bad.key.id).err().expect(what).to_string();
        assert!(error.contains(what), "{error}");
        assert!(scratch.keys.find(&good.key.id).unwrap().is_some());
        let listed = scratch.keys.list().unwrap();
        let n_good = listed.iter().filter(|listed| listed.key.is_ok()).count();
        assert_eq!((listed.len(), n_good), (2, 1), "{what}");
    };
    std::fs::write(&path, &text[..text.len() / 2]).unwrap();
    wants("is damaged");
    std::fs::write(&path, text.replace("\"expires\": 1", "\"expires\": 2")).unwrap();
    wants("does not open its secret");
    std::fs::write(&path, "x".repeat(FILE_BYTES_MAX + 1)).unwrap();
    wants("is longer than 4096 bytes");
    std::fs::write(&path, &text).unwrap();
    set_mode(&path, 0o640);
    wants("is open to others than its owner");
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(scratch.path(&file(&good.key.id)), &path).unwrap();
    wants("is a symbolic link");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    set_mode(&path, 0o700);
    wants("is not a regular file");
    std::fs::remove_dir(&path).unwrap();
    assert!(scratch.keys.find(&bad.key.id).unwrap().is_none());
}

#[test]
fn a_loose_directory_holds_no_keys() {
    let scratch = Scratch::new();
    let made = scratch.make(Timestamp(0), Timestamp(1));
    let told = |keys: &Keys| {
        let found = keys.find(&made.key.id).err().unwrap().to_string();
        assert_eq!(found, keys.list().unwrap_err().to_string());
        assert_eq!(
            found,
            keys.create(&me(), Timestamp(0), Timestamp(1))
                .err()
                .unwrap()
                .to_string()
        );
        found
    };
    set_mode(scratch.keys.directory(), 0o750);
    assert!(told(&scratch.keys).contains("is open to others than its owner"));
    set_mode(scratch.keys.directory(), 0o700);
    assert!(scratch.keys.find(&made.key.id).unwrap().is_some());
    let link = scratch.root.join("link");
    std::os::unix::fs::symlink(scratch.keys.directory(), &link).unwrap();
    assert!(told(&Keys::new(link)).contains("is a symbolic link"));
}

#[test]
fn without_the_machines_key_nothing_is_guessed() {
    let scratch = Scratch::new();
    let made = scratch.make(Timestamp(0), Timestamp(1));
    std::fs::remove_file(scratch.path(MACHINE_KEY)).unwrap();
    let fresh = Keys::new(scratch.keys.directory());
    for error in [
        fresh.find(&made.key.id).err().unwrap(),
        fresh.create(&me(), Timestamp(0), Timestamp(1)).err().unwrap(),
    ] {
        assert!(error.to_string().contains("machine.key` is lost"), "{error}");
    }
    assert!(!scratch.path(MACHINE_KEY).exists());
    assert!(fresh.list().unwrap()[0].key.is_err());
    std::fs::write(scratch.path(MACHINE_KEY), [7; 31]).unwrap();
    set_mode(&scratch.path(MACHINE_KEY), 0o600);
    assert!(
        fresh
            .find(&made.key.id)
            .err()
            .unwrap()
            .to_string()
            .contains("has not 32 bytes")
    );
}

#[test]
fn many_write_at_the_same_time() {
    let scratch = Scratch::new();
    let made = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..8 {
                    let keys = Keys::new(scratch.keys.directory());
                    let new = keys.create(&me(), Timestamp(0), Timestamp(1)).unwrap();
                    made.lock().unwrap().push(new);
                }
            });
        }
    });
    let made = made.into_inner().unwrap();
    assert_eq!(
        scratch
            .keys
            .list()
            .unwrap()
            .iter()
            .filter(|listed| listed.key.is_ok())
            .count(),
        32
    );
    for new in &made {
        let found = scratch.keys.find(&new.key.id).unwrap().unwrap();
        assert_eq!(found.secret.expose_secret(), new.secret.expose_secret());
    }
}
