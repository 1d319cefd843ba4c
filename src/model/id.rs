//! Ids of the things inside one definition and one execution.

use serde::Deserialize;
use serde::Serialize;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl $name {
            /// Returns the id as an index into the vector that it numbers.
            pub fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A state of a definition: an index into `Definition::states`.
    StateId(u32)
);
id!(
    /// A block (one `StartAt` + `States` object): an index into `Definition::blocks`. 0 is the machine itself.
    BlockId(u32)
);
id!(
    /// A history event, counted from 1; 0 stands for "none".
    EventId(u64)
);
id!(
    /// One attempt of one task inside one execution.
    TaskId(u64)
);
id!(
    /// One child execution of a Distributed Map inside one execution.
    ChildId(u64)
);

id!(
    /// One Map Run inside one execution.
    MapRunId(u64)
);

impl EventId {
    /// The `previousEventId` of an event that follows none.
    pub const NONE: Self = Self(0);
}
