//! Debian accounts, as the name service has them at this moment.

use std::ffi::CString;
use std::sync::Arc;

use nix::unistd::Group;
use nix::unistd::Uid;
use nix::unistd::User;

/// Returns the names of all groups of a user; none for a user whom the name service does not know.
///
/// # Errors
/// The name service cannot be asked.
pub fn groups_of(uid: u32) -> Result<Vec<Arc<str>>, nix::Error> {
    let Some(user) = User::from_uid(Uid::from_raw(uid))? else {
        return Ok(Vec::new());
    };
    let Ok(name) = CString::new(user.name) else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    for gid in nix::unistd::getgrouplist(&name, user.gid)? {
        if let Some(group) = Group::from_gid(gid)? {
            names.push(Arc::from(group.name));
        }
    }
    Ok(names)
}
