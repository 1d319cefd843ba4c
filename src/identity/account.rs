//! What this machine says about a user's number: its name and its groups.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::Gid;
use nix::unistd::Group;
use nix::unistd::Uid;
use nix::unistd::User;
use tokio::time::Instant;

/// A Debian user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub uid: u32,
    /// Its name; without one it has no groups either.
    pub name: Option<Arc<str>>,
    /// Its groups: number and name.
    pub groups: BTreeMap<u32, Arc<str>>,
}

impl Account {
    /// Asks the name service, which may take a while.
    ///
    /// # Errors
    /// The name service does not answer; a user without an entry is no error.
    pub fn look_up(uid: u32) -> Result<Self, String> {
        let mut account = Self {
            uid,
            name: None,
            groups: BTreeMap::new(),
        };
        let user = match User::from_uid(Uid::from_raw(uid)) {
            Ok(Some(user)) => user,
            // Systems without such a file say so in these ways: getpwuid(3).
            Ok(None) | Err(Errno::ENOENT | Errno::ESRCH | Errno::EBADF | Errno::EPERM) => return Ok(account),
            Err(error) => return Err(format!("the user {uid} cannot be looked up: {error}")),
        };
        let failed = |error: Errno| format!("the groups of `{}` cannot be looked up: {error}", user.name);
        let name = CString::new(user.name.as_str()).map_err(|_| failed(Errno::EINVAL))?;
        for gid in nix::unistd::getgrouplist(&name, user.gid).map_err(failed)? {
            if let Some(group) = name_of(gid).map_err(failed)? {
                account.groups.insert(gid.as_raw(), group.into());
            }
        }
        account.name = Some(user.name.into());
        Ok(account)
    }

    /// Returns its name, or its number when it has none.
    pub fn shown(&self) -> Arc<str> {
        let number = || self.uid.to_string().into();
        self.name.clone().unwrap_or_else(number)
    }

    /// Returns the names of the groups that count: those that its process has, too. Without one all count.
    pub fn groups(&self, of_process: Option<&[u32]>) -> Vec<Arc<str>> {
        let counts = |gid: &u32| of_process.is_none_or(|groups| groups.contains(gid));
        let groups = self.groups.iter().filter(|(gid, _)| counts(gid));
        groups.map(|(_, name)| Arc::clone(name)).collect()
    }
}

/// Returns the names of all groups of a user; none for a user whom the name service does not know.
///
/// # Errors
/// The name service does not answer.
pub fn groups_of(uid: u32) -> Result<Vec<Arc<str>>, String> {
    Account::look_up(uid).map(|account| account.groups(None))
}

fn name_of(gid: Gid) -> Result<Option<String>, Errno> {
    match Group::from_gid(gid) {
        Ok(group) => Ok(group.map(|group| group.name)),
        Err(Errno::ENOENT | Errno::ESRCH | Errno::EBADF | Errno::EPERM) => Ok(None),
        Err(error) => Err(error),
    }
}

/// How long an answer of the name service counts: who is removed from a group has lost it then.
const AGE_MAX: Duration = Duration::from_secs(1);
/// How long the name service may take.
const TIME_MAX: Duration = Duration::from_secs(10);
/// Users that are remembered.
const ACCOUNTS_MAX: usize = 4096;

type Source = Arc<dyn Fn(u32) -> Result<Account, String> + Send + Sync>;
/// The last answer. Who asks while the question is open waits for the same answer.
type Slot = Arc<tokio::sync::Mutex<Option<(Instant, Arc<Account>)>>>;

/// The users of this machine, each asked for at most once a second.
pub struct Accounts {
    source: Source,
    age_max: Duration,
    slots: Mutex<BTreeMap<u32, Slot>>,
}

impl Default for Accounts {
    fn default() -> Self {
        Self::new(Arc::new(Account::look_up), AGE_MAX)
    }
}

impl Accounts {
    fn new(source: Source, age_max: Duration) -> Self {
        Self {
            source,
            age_max,
            slots: Mutex::new(BTreeMap::new()),
        }
    }

    /// Returns a user as it is now. The same `Arc` comes back as long as nothing has changed.
    ///
    /// # Errors
    /// The name service does not answer.
    pub async fn find(&self, uid: u32) -> Result<Arc<Account>, String> {
        let slot = self.slot(uid);
        let mut known = slot.lock().await;
        if let Some((asked, account)) = &*known
            && asked.elapsed() < self.age_max
        {
            return Ok(Arc::clone(account));
        }
        let source = Arc::clone(&self.source);
        let asked = Instant::now();
        let found = tokio::task::spawn_blocking(move || source(uid));
        let found = tokio::time::timeout(TIME_MAX, found)
            .await
            .map_err(|_| format!("the user {uid} cannot be looked up: the name service does not answer"))?
            .map_err(|error| format!("the user {uid} cannot be looked up: {error}"))??;
        let account = match known.take() {
            Some((_, before)) if *before == found => before,
            _ => Arc::new(found),
        };
        *known = Some((asked, Arc::clone(&account)));
        Ok(account)
    }

    fn slot(&self, uid: u32) -> Slot {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= ACCOUNTS_MAX && !slots.contains_key(&uid) {
            slots.clear();
        }
        Arc::clone(slots.entry(uid).or_default())
    }
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounts")
            .field("age_max", &self.age_max)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::sync::atomic::Ordering;

    use super::*;

    fn account(groups: &[(u32, &str)]) -> Account {
        Account {
            uid: 1000,
            name: Some("ops1".into()),
            groups: groups.iter().map(|(gid, name)| (*gid, Arc::from(*name))).collect(),
        }
    }

    #[test]
    fn a_group_counts_when_the_process_and_the_machine_have_it() {
        let account = account(&[(10, "ops1"), (20, "stepfn-operator")]);
        for (of_process, wanted) in [
            (None, &["ops1", "stepfn-operator"][..]),
            (Some(&[10, 20, 30][..]), &["ops1", "stepfn-operator"]),
            // It has given it up, or began before it was given.
            (Some(&[10]), &["ops1"]),
            // It still has it, and the machine has taken it away.
            (Some(&[30]), &[]),
            (Some(&[]), &[]),
        ] {
            let groups = account.groups(of_process);
            assert_eq!(groups.iter().map(|name| &**name).collect::<Vec<_>>(), wanted);
        }
    }

    #[test]
    fn root_is_known_and_a_number_without_a_user_has_no_groups() {
        let root = Account::look_up(0).unwrap();
        assert_eq!(
            (&*root.shown(), root.groups.get(&0).map(|name| &**name)),
            ("root", Some("root"))
        );
        let nobody = Account::look_up(0x7fff_0001).unwrap();
        assert_eq!((&*nobody.shown(), nobody.groups.len()), ("2147418113", 0));
    }

    #[tokio::test]
    async fn who_is_removed_from_a_group_has_lost_it_at_the_next_look() {
        let n_members = Arc::new(AtomicU32::new(2));
        let table = Arc::clone(&n_members);
        let source: Source = Arc::new(move |_| match table.load(Ordering::SeqCst) {
            0 => Err("the name service is away".to_owned()),
            1 => Ok(account(&[(10, "ops1")])),
            _ => Ok(account(&[(10, "ops1"), (20, "stepfn-operator")])),
        });
        let always = Accounts::new(Arc::clone(&source), Duration::ZERO);
        let first = always.find(1000).await.unwrap();
        assert!(
            Arc::ptr_eq(&first, &always.find(1000).await.unwrap()),
            "nothing has changed"
        );
        let never = Accounts::new(source, Duration::from_secs(3600));
        never.find(1000).await.unwrap();
        n_members.store(1, Ordering::SeqCst);
        assert_eq!(always.find(1000).await.unwrap().groups.len(), 1);
        assert_eq!(never.find(1000).await.unwrap().groups.len(), 2);
        n_members.store(0, Ordering::SeqCst);
        always.find(1000).await.unwrap_err();
    }
}
