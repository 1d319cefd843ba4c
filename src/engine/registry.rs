//! All machines and activities: in memory for reading, in the store for good.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::RwLockReadGuard;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::engine::machine::Activity;
use crate::engine::machine::StateMachine;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::change::Change;
use crate::store::change::Resource;

const MACHINE: &str = "machine";
const ACTIVITY: &str = "activity";

/// All resources by ARN.
#[derive(Debug, Default)]
pub struct Registry {
    inner: RwLock<Inner>,
    /// How many machines are being deleted: none, as a rule.
    n_deleting: AtomicUsize,
}

/// The maps.
#[derive(Debug, Default)]
pub struct Inner {
    /// Machines by ARN without qualifier.
    pub machines: BTreeMap<Arc<str>, Arc<StateMachine>>,
    /// Activities by ARN.
    pub activities: BTreeMap<Arc<str>, Arc<Activity>>,
}

/// A change of one resource.
#[derive(Clone, Debug)]
pub enum Edit {
    /// A machine is new or other than before.
    PutMachine(Arc<StateMachine>),
    /// A machine is gone.
    DeleteMachine(Arc<str>),
    /// An activity is new or other than before.
    PutActivity(Arc<Activity>),
    /// An activity is gone.
    DeleteActivity(Arc<str>),
}

/// An answer, and the changes of resources and of what goes with them that must be safe before it is given.
pub type Edits<T> = (T, Vec<Edit>, Vec<Change>);

impl Registry {
    /// Reads all resources of a store.
    ///
    /// # Errors
    /// The store cannot be read, or holds something else.
    pub fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let machines = read::<StateMachine>(store, MACHINE)?;
        let activities = read::<Activity>(store, ACTIVITY)?;
        let n_deleting = machines.iter().filter(|machine| machine.is_deleting).count();
        Ok(Self {
            n_deleting: AtomicUsize::new(n_deleting),
            inner: RwLock::new(Inner {
                machines: machines
                    .into_iter()
                    .map(|machine| (machine.arn.clone(), Arc::new(machine)))
                    .collect(),
                activities: activities
                    .into_iter()
                    .map(|activity| (activity.arn.clone(), Arc::new(activity)))
                    .collect(),
            }),
        })
    }

    /// Returns the maps for reading. Never hold it across an await.
    pub fn read(&self) -> RwLockReadGuard<'_, Inner> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a machine.
    pub fn machine(&self, arn: &str) -> Option<Arc<StateMachine>> {
        self.read().machines.get(arn).cloned()
    }

    /// Returns an activity.
    pub fn activity(&self, arn: &str) -> Option<Arc<Activity>> {
        self.read().activities.get(arn).cloned()
    }

    /// Tells whether the machine of an execution (`…:stateMachine:Machine`, for a child `…/Label`) is being deleted.
    pub(super) fn is_deleting(&self, arn: &str) -> bool {
        if self.n_deleting.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let arn = arn.split('/').next().unwrap_or_default();
        self.read().machines.get(arn).is_some_and(|machine| machine.is_deleting)
    }

    /// Returns the machines that are being deleted.
    pub(super) fn deleting(&self) -> Vec<Arc<str>> {
        if self.n_deleting.load(Ordering::Relaxed) == 0 {
            return Vec::new();
        }
        let inner = self.read();
        let deleting = inner.machines.values().filter(|machine| machine.is_deleting);
        deleting.map(|machine| Arc::clone(&machine.arn)).collect()
    }

    /// Shows a change to all who ask, once the store has it.
    pub(super) fn apply(&self, edit: &Edit) {
        let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
        let before = match edit {
            Edit::PutMachine(machine) => inner.machines.insert(machine.arn.clone(), Arc::clone(machine)),
            Edit::DeleteMachine(arn) => inner.machines.remove(arn),
            Edit::PutActivity(activity) => {
                inner.activities.insert(activity.arn.clone(), Arc::clone(activity));
                None
            }
            Edit::DeleteActivity(arn) => {
                inner.activities.remove(arn);
                None
            }
        };
        let was_deleting = before.is_some_and(|machine| machine.is_deleting);
        let is_deleting = matches!(edit, Edit::PutMachine(machine) if machine.is_deleting);
        match (was_deleting, is_deleting) {
            (false, true) => self.n_deleting.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.n_deleting.fetch_sub(1, Ordering::Relaxed),
            _ => 0,
        };
    }
}

impl Edit {
    /// Returns what the store is told.
    pub(super) fn change(&self) -> Change {
        match self {
            Self::PutMachine(machine) => put(MACHINE, &machine.arn, &**machine),
            Self::PutActivity(activity) => put(ACTIVITY, &activity.arn, &**activity),
            Self::DeleteMachine(arn) => Change::DeleteResource {
                kind: MACHINE,
                key: Arc::clone(arn),
            },
            Self::DeleteActivity(arn) => Change::DeleteResource {
                kind: ACTIVITY,
                key: Arc::clone(arn),
            },
        }
    }
}

fn put(kind: &'static str, key: &Arc<str>, value: &impl Serialize) -> Change {
    Change::PutResource(Resource {
        kind,
        key: Arc::clone(key),
        value: serde_json::to_value(value).expect("a resource is made of plain members"),
    })
}

fn read<T: DeserializeOwned>(store: &dyn Store, kind: &'static str) -> Result<Vec<T>, StoreError> {
    let resources = store.resources(kind)?.into_iter();
    resources
        .map(|resource| {
            serde_json::from_value(resource.value)
                .map_err(|error| StoreError::Damaged(format!("the {kind} `{}`: {error}", resource.key).into()))
        })
        .collect()
}
