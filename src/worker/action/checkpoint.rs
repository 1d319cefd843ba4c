//! What actions keep before they change something, so that it can be restored.
//!
//! One directory per execution, in it one per checkpoint: `checkpoint.json` and the files that its action keeps.
//! `children` in it names the directories of the children of its Map Runs.
//! Only their owner can read them: they may hold what files held.

use std::collections::BTreeSet;
use std::collections::hash_map::RandomState;
use std::fmt::Write;
use std::fs::DirBuilder;
use std::fs::File;
use std::fs::OpenOptions;
use std::hash::BuildHasher;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

use sha2::Digest;
use sha2::Sha256;

use crate::worker::action::lock;
use crate::worker::spawn::wire::Claim;

/// The file of a checkpoint.
const FILE: &str = "checkpoint.json";
/// The directory in an execution's that has an empty directory for each child with checkpoints.
const CHILDREN: &str = "children";
/// The form of that file.
const FORMAT_VERSION: u32 = 1;
/// Hexadecimal digits of an execution's part of an id.
const EXECUTION_DIGITS: usize = 16;

/// All checkpoints of one state directory.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    directory: PathBuf,
    /// Tells apart executions of one name, where no store does; empty where tasks are issued again after a crash.
    nonce: String,
    /// Those made by this process, in order.
    made: Arc<Mutex<Vec<String>>>,
}

/// Whose change a checkpoint keeps.
#[derive(Clone, Debug)]
pub struct Owner {
    /// The ARN of the execution.
    pub execution_arn: Arc<str>,
    /// The ARN of the execution whose Map Run it is a child of.
    pub parent_arn: Option<Arc<str>>,
    /// The state's name.
    pub state_name: Arc<str>,
    /// The attempt's number in its execution.
    pub task: u64,
    /// The action's name.
    pub action: &'static str,
    /// For whom its processes are started.
    pub claim: Claim,
}

/// A checkpoint, as its file has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Saved {
    format_version: u32,
    /// Its id.
    pub id: String,
    /// The action that changes something.
    pub action: String,
    /// The execution.
    pub execution_arn: String,
    /// The execution whose Map Run it is a child of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_arn: Option<String>,
    /// The state's name.
    pub state_name: String,
    /// Where it stands among all others: nanoseconds since 1970 when it was made, and never twice the same.
    pub order: u64,
    /// How far it has come.
    pub status: Status,
    /// The parameters of the task.
    pub parameters: Value,
    /// What the action kept.
    pub before: Value,
    /// The result, once there is one.
    pub result: Option<Value>,
    /// What undoing it gave, once it is undone.
    pub undone: Option<Value>,
    /// For whom the processes that undo it are started.
    #[serde(default)]
    pub claim: Claim,
    /// Where its files are.
    #[serde(skip)]
    pub directory: PathBuf,
}

/// How far a checkpoint has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// The action has ended well.
    Applied,
    /// It has begun; how far it came is not known.
    Open,
    /// What was before is restored.
    Undone,
}

impl Checkpoints {
    /// Makes the checkpoints of executions whose tasks are issued again after a crash: such a task finds what its
    /// first run kept.
    pub fn durable(directory: PathBuf) -> Self {
        Self {
            directory,
            nonce: String::new(),
            made: Arc::default(),
        }
    }

    /// Makes the checkpoints of executions that end with this process.
    pub fn of_this_process(directory: PathBuf) -> Self {
        Self {
            nonce: format!("{:016x}", RandomState::new().hash_one(std::process::id())),
            ..Self::durable(directory)
        }
    }

    /// Tells whether a task that is issued again after a crash finds what its first run kept.
    pub fn is_durable(&self) -> bool {
        self.nonce.is_empty()
    }

    /// Returns where they are.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn execution_digits(&self, execution_arn: &str) -> String {
        let digest = Sha256::new()
            .chain_update(&self.nonce)
            .chain_update([0])
            .chain_update(execution_arn)
            .finalize();
        let mut digits = digest.iter().fold(String::new(), |mut digits, byte| {
            let _ = write!(digits, "{byte:02x}");
            digits
        });
        digits.truncate(EXECUTION_DIGITS);
        digits
    }

    /// Returns the id and the directory of a task's checkpoint.
    fn place(&self, owner: &Owner) -> (String, PathBuf) {
        let execution = self.execution_digits(&owner.execution_arn);
        let id = format!("cp-{execution}-{}", owner.task);
        let directory = self.directory.join(execution).join(owner.task.to_string());
        (id, directory)
    }

    /// Returns what a task kept when it was issued before, if it was.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn existing(&self, owner: &Owner) -> io::Result<Option<Saved>> {
        read(&self.place(owner).1)
    }

    /// Makes the directory of a task's checkpoint.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make_directory(&self, owner: &Owner) -> io::Result<PathBuf> {
        let (_, directory) = self.place(owner);
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        Ok(directory)
    }

    /// Keeps a checkpoint: when this returns, it is on the disk.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn open(&self, owner: &Owner, parameters: &Value, before: Value) -> io::Result<Saved> {
        let (id, directory) = self.place(owner);
        let saved = Saved {
            format_version: FORMAT_VERSION,
            id: id.clone(),
            action: owner.action.to_owned(),
            execution_arn: owner.execution_arn.to_string(),
            parent_arn: owner.parent_arn.as_deref().map(str::to_owned),
            state_name: owner.state_name.to_string(),
            order: self.next_order(id),
            status: Status::Open,
            parameters: parameters.clone(),
            before,
            result: None,
            undone: None,
            claim: owner.claim.clone(),
            directory,
        };
        if let Some(parent) = &owner.parent_arn {
            let parent = self.directory.join(self.execution_digits(parent)).join(CHILDREN);
            let own = parent.join(self.execution_digits(&owner.execution_arn));
            DirBuilder::new().recursive(true).mode(0o700).create(&own)?;
            for directory in own.ancestors().skip(1).take(3) {
                File::open(directory)?.sync_all()?;
            }
        }
        write(&saved)?;
        // The new directories, up to the one that was there before.
        for directory in saved.directory.ancestors().take(3) {
            File::open(directory)?.sync_all()?;
        }
        Ok(saved)
    }

    fn next_order(&self, id: String) -> u64 {
        static LAST: Mutex<u64> = Mutex::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        *last = now.max(last.saturating_add(1));
        self.made.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        *last
    }

    /// Returns the ids of those that this process made, in order.
    pub fn made(&self) -> Vec<String> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Finds a checkpoint by its id.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub fn find(&self, id: &str) -> io::Result<Option<Saved>> {
        let Some((execution, task)) = id.strip_prefix("cp-").and_then(|id| id.split_once('-')) else {
            return Ok(None);
        };
        let is_digits = execution.len() == EXECUTION_DIGITS && execution.bytes().all(|byte| byte.is_ascii_hexdigit());
        match is_digits && !task.is_empty() && task.bytes().all(|byte| byte.is_ascii_digit()) {
            true => read(&self.directory.join(execution).join(task)),
            false => Ok(None),
        }
    }

    /// Returns the checkpoints of an execution and of the children of its Map Runs, in order.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn of_execution(&self, execution_arn: &str) -> io::Result<Vec<Saved>> {
        let mut found = Vec::new();
        let mut open = vec![self.directory.join(self.execution_digits(execution_arn))];
        let mut seen = BTreeSet::new();
        while let Some(execution) = open.pop() {
            for child in directories(&execution.join(CHILDREN))? {
                open.extend(child.file_name().map(|digits| self.directory.join(digits)));
            }
            if seen.insert(execution.clone()) {
                found.extend(in_directory(&execution)?);
            } else {
                return Err(io::Error::other(format!(
                    "`{}` is named as a child twice",
                    execution.display()
                )));
            }
        }
        found.sort_by_key(|saved| saved.order);
        Ok(found)
    }

    /// Returns all checkpoints, in order.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn all(&self) -> io::Result<Vec<Saved>> {
        let mut all = Vec::new();
        for directory in directories(&self.directory)? {
            all.extend(in_directory(&directory)?);
        }
        all.sort_by_key(|saved| saved.order);
        Ok(all)
    }
}

/// Chooses the checkpoints of an execution and of the children of its Map Runs.
pub fn of_family(mut all: Vec<Saved>, execution_arn: &str) -> Vec<Saved> {
    let mut family = BTreeSet::from([execution_arn.to_owned()]);
    loop {
        let n_known = family.len();
        for saved in &all {
            if saved.parent_arn.as_ref().is_some_and(|parent| family.contains(parent)) {
                family.insert(saved.execution_arn.clone());
            }
        }
        if n_known == family.len() {
            break;
        }
    }
    all.retain(|saved| family.contains(&saved.execution_arn));
    all
}

impl Saved {
    /// Waits until nobody else undoes it, here or in another process; then reads it again.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn locked(&self) -> io::Result<(Self, File)> {
        let file = lock::exclusive(File::open(&self.directory)?).await?;
        let saved = read(&self.directory)?.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::NotFound,
                format!("`{}` is gone", self.directory.display()),
            )
        })?;
        Ok((saved, file))
    }

    /// Notes that the action has ended well.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn applied(&mut self, result: &Value) -> io::Result<()> {
        self.status = Status::Applied;
        self.result = Some(result.clone());
        write(self)
    }

    /// Notes that what was before is restored.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn undone(&mut self, undone: Value) -> io::Result<()> {
        self.status = Status::Undone;
        self.undone = Some(undone);
        write(self)
    }
}

/// Returns the directories in a directory; none if it is not there.
fn directories(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn in_directory(directory: &Path) -> io::Result<Vec<Saved>> {
    let mut found = Vec::new();
    for directory in directories(directory)? {
        found.extend(read(&directory)?);
    }
    found.sort_by_key(|saved| saved.order);
    Ok(found)
}

fn read(directory: &Path) -> io::Result<Option<Saved>> {
    let path = directory.join(FILE);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        // Its task did not come to the point of changing anything.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let wrong = |why: String| io::Error::new(io::ErrorKind::InvalidData, format!("`{}` {why}", path.display()));
    let saved: Saved = serde_json::from_str(&text).map_err(|error| wrong(format!("is no checkpoint: {error}")))?;
    if saved.format_version != FORMAT_VERSION {
        return Err(wrong(format!(
            "has the format {}, which this version does not know",
            saved.format_version
        )));
    }
    Ok(Some(Saved {
        directory: directory.to_owned(),
        ..saved
    }))
}

fn write(saved: &Saved) -> io::Result<()> {
    let next = saved.directory.join("checkpoint.json.next");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&next)?;
    serde_json::to_writer_pretty(&file, saved)?;
    file.sync_all()?;
    std::fs::rename(&next, saved.directory.join(FILE))?;
    File::open(&saved.directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::worker::action::testing::Scratch;

    fn owner(task: u64) -> Owner {
        Owner {
            execution_arn: Arc::from("arn:aws:states:r:1:execution:m:e"),
            parent_arn: None,
            state_name: Arc::from("S"),
            task,
            action: "file.write",
            claim: Claim::default(),
        }
    }

    #[test]
    fn a_task_that_is_issued_again_finds_what_it_kept() {
        let scratch = Scratch::new();
        let checkpoints = Checkpoints::durable(scratch.path().join("checkpoints"));
        assert!(checkpoints.existing(&owner(1)).unwrap().is_none());
        checkpoints.make_directory(&owner(1)).unwrap();
        // It has kept nothing yet.
        assert!(checkpoints.existing(&owner(1)).unwrap().is_none());
        let saved = checkpoints.open(&owner(1), &json!({}), json!("old")).unwrap();
        let again = Checkpoints::durable(scratch.path().join("checkpoints"));
        let found = again.existing(&owner(1)).unwrap().unwrap();
        assert_eq!((found.before, found.status), (json!("old"), Status::Open));
        assert_eq!(again.find(&saved.id).unwrap().unwrap().state_name, "S");
        assert!(again.existing(&owner(2)).unwrap().is_none());
        let of_a_run = Checkpoints::of_this_process(scratch.path().join("checkpoints"));
        assert!(of_a_run.existing(&owner(1)).unwrap().is_none());
    }

    #[test]
    fn they_come_in_the_order_of_their_making() {
        let scratch = Scratch::new();
        let checkpoints = Checkpoints::durable(scratch.path().to_owned());
        for task in [10, 9, 2] {
            checkpoints.make_directory(&owner(task)).unwrap();
            checkpoints.open(&owner(task), &json!({}), json!(task)).unwrap();
        }
        let found = checkpoints.of_execution("arn:aws:states:r:1:execution:m:e").unwrap();
        let order: Vec<&Value> = found.iter().map(|saved| &saved.before).collect();
        assert_eq!(order, [&json!(10), &json!(9), &json!(2)]);
        assert_eq!(checkpoints.all().unwrap().len(), 3);
        assert_eq!(checkpoints.made().len(), 3);
        assert!(checkpoints.of_execution("another").unwrap().is_empty());
    }

    #[test]
    fn children_belong_to_the_execution_that_they_are_a_part_of() {
        let scratch = Scratch::new();
        let checkpoints = Checkpoints::durable(scratch.path().to_owned());
        let of = |execution: &str, parent: Option<&str>, task| Owner {
            execution_arn: Arc::from(execution),
            parent_arn: parent.map(Arc::from),
            ..owner(task)
        };
        for owner in [
            of("e", None, 1),
            of("child", Some("e"), 1),
            of("grandchild", Some("child"), 1),
            of("grandchild", Some("child"), 2),
            of("other", None, 1),
        ] {
            checkpoints.make_directory(&owner).unwrap();
            checkpoints
                .open(&owner, &json!({}), json!(&*owner.execution_arn))
                .unwrap();
        }
        let names = |found: Vec<Saved>| found.into_iter().map(|saved| saved.execution_arn).collect::<Vec<_>>();
        for (execution, expected) in [
            ("e", &["e", "child", "grandchild", "grandchild"][..]),
            ("child", &["child", "grandchild", "grandchild"]),
            ("other", &["other"]),
            ("nobody", &[]),
        ] {
            assert_eq!(names(checkpoints.of_execution(execution).unwrap()), expected);
            assert_eq!(names(of_family(checkpoints.all().unwrap(), execution)), expected);
        }
    }

    #[test]
    fn an_id_is_no_way_to_other_files() {
        let scratch = Scratch::new();
        let checkpoints = Checkpoints::durable(scratch.path().to_owned());
        for id in [
            "",
            "cp-",
            "cp-../..-1",
            "cp-0123456789abcdef-../1",
            "cp-0123456789abcdef-1",
        ] {
            assert!(checkpoints.find(id).unwrap().is_none(), "{id}");
        }
    }

    #[test]
    fn a_damaged_checkpoint_is_told() {
        let scratch = Scratch::new();
        let checkpoints = Checkpoints::durable(scratch.path().to_owned());
        let directory = checkpoints.make_directory(&owner(1)).unwrap();
        std::fs::write(directory.join(FILE), "{").unwrap();
        let error = checkpoints.existing(&owner(1)).unwrap_err().to_string();
        assert!(error.contains("is no checkpoint"), "{error}");
    }
}
