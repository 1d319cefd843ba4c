//! What is known of the workflow variables in reach of a state.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::lint::flow::shape::Member;
use crate::lint::flow::shape::Origin;
use crate::lint::flow::shape::Presence;
use crate::lint::flow::shape::Shape;

/// With more variables nothing is known of any: each way would copy them all.
const VARIABLES_MAX: usize = 300;

/// The variables in reach.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Variables {
    /// Those that some way has assigned; no other is.
    Known(Arc<BTreeMap<Arc<str>, Member>>),
    /// Anything may be assigned.
    Unknown,
}

impl Variables {
    /// No variable is assigned.
    pub(crate) fn none() -> Self {
        Self::Known(Arc::default())
    }

    /// Assigns.
    pub(crate) fn assign(&self, assigned: Vec<(Arc<str>, Shape)>) -> Self {
        let Self::Known(known) = self else {
            return Self::Unknown;
        };
        if assigned.is_empty() {
            return self.clone();
        }
        let mut known = (**known).clone();
        known.extend(assigned.into_iter().map(|(name, shape)| (name, Member::sure(shape))));
        match VARIABLES_MAX < known.len() {
            true => Self::Unknown,
            false => Self::Known(Arc::new(known)),
        }
    }

    /// Joins what two ways have assigned; the origins say which way each is.
    pub(crate) fn join(&self, own: Origin, other: &Self, others: Origin) -> Self {
        let (Self::Known(a), Self::Known(b)) = (self, other) else {
            return Self::Unknown;
        };
        if Arc::ptr_eq(a, b) {
            return self.clone();
        }
        let lacks = |member: &Member, origin| {
            let nothing = Member {
                shape: member.shape.clone(),
                presence: Presence::Maybe(origin),
            };
            member.join(&nothing)
        };
        let mut joined = BTreeMap::new();
        for (name, member) in a.iter() {
            let member = match b.get(name) {
                Some(other) => member.join(other),
                None => lacks(member, others),
            };
            joined.insert(name.clone(), member);
        }
        for (name, member) in b.iter() {
            if !a.contains_key(name) {
                joined.insert(name.clone(), lacks(member, own));
            }
        }
        match VARIABLES_MAX < joined.len() {
            true => Self::Unknown,
            false => Self::Known(Arc::new(joined)),
        }
    }

    /// Returns what is left behind a Choice, whose rules may know which way was taken.
    pub(crate) fn behind_choice(&self) -> Self {
        let Self::Known(known) = self else {
            return Self::Unknown;
        };
        let is_maybe = |member: &Member| matches!(member.presence, Presence::Maybe(_));
        if !known.values().any(is_maybe) {
            return self.clone();
        }
        let members = known.iter().map(|(name, member)| {
            let presence = member.presence.behind_choice();
            let shape = member.shape.clone();
            (name.clone(), Member { shape, presence })
        });
        Self::Known(Arc::new(members.collect()))
    }
}
