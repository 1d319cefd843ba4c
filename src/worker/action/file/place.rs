//! Where a file is: an open directory and a name in it, so that nobody can move the way meanwhile.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::ffi::OsStringExt;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::AtFlags;
use rustix::fs::FileType;
use rustix::fs::FlockOperation;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::model::states_error::StatesError;
use crate::worker::action::file::fault::IS_DIRECTORY;
use crate::worker::action::file::fault::IS_SYMLINK;
use crate::worker::action::file::fault::NOT_A_DIRECTORY;
use crate::worker::action::file::fault::NOT_REGULAR;
use crate::worker::action::file::fault::fault;
use crate::worker::action::file::fault::of_system;

/// As many as the kernel follows.
const LINKS_MAX: usize = 40;
/// What the names of files that are not ready yet begin with.
const UNREADY: &str = ".stepfn-";

/// A name in an open directory.
#[derive(Debug)]
pub(super) struct Place {
    directory: OwnedFd,
    name: OsString,
    path: PathBuf,
}

/// A file that is not ready yet; without `publish` it goes away.
pub(super) struct Unready<'a> {
    place: &'a Place,
    name: Option<OsString>,
    /// What is written to.
    pub(super) file: File,
}

impl Place {
    /// Finds the directory of a path.
    ///
    /// # Errors
    /// `File.NotFound`, `File.IsSymlink` and others: it is not there or not to be trusted.
    pub(super) fn find(path: &Path) -> Result<Self, StatesError> {
        let Some(name) = path
            .file_name()
            .filter(|_| !path.as_os_str().as_bytes().ends_with(b"/"))
        else {
            let sentence = format!("`{}` is the path of a directory.", path.display());
            return Err(fault(&IS_DIRECTORY, sentence));
        };
        let parent = path.parent().unwrap_or(Path::new("/"));
        let failed = |error: Errno| of_system(error, path, "reached");
        let walk = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = || rustix::fs::open("/", walk | OFlags::DIRECTORY, Mode::empty()).map_err(failed);
        let mut here = root()?;
        let mut todo: VecDeque<OsString> = VecDeque::new();
        let mut links = 0;
        prepend(&mut todo, parent);
        while let Some(part) = todo.pop_front() {
            if part == "/" {
                here = root()?;
                continue;
            }
            let next = rustix::fs::openat(&here, &part, walk, Mode::empty()).map_err(failed)?;
            let stat = rustix::fs::fstat(&next).map_err(failed)?;
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory => here = next,
                FileType::Symlink => {
                    links += 1;
                    // Whoever may make links in a shared directory must not choose which file is written.
                    let is_trusted = stat.st_uid == 0 || stat.st_uid == rustix::process::geteuid().as_raw();
                    if !is_trusted || LINKS_MAX < links {
                        let part = part.display();
                        let sentence = match is_trusted {
                            true => format!("The way to `{}` has too many symbolic links.", path.display()),
                            false => format!(
                                "The way to `{}` leads through the symbolic link `{part}`, which belongs to the user \
                                 {}.",
                                path.display(),
                                stat.st_uid
                            ),
                        };
                        return Err(fault(&IS_SYMLINK, sentence));
                    }
                    let target = rustix::fs::readlinkat(&next, "", Vec::new()).map_err(failed)?;
                    let target = OsString::from_vec(target.into_bytes());
                    prepend(&mut todo, Path::new(&target));
                }
                _ => {
                    let sentence = format!(
                        "`{}` cannot be reached: `{}` is no directory.",
                        path.display(),
                        part.display()
                    );
                    return Err(fault(&NOT_A_DIRECTORY, sentence));
                }
            }
        }
        let readable = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            directory: rustix::fs::openat(&here, ".", readable, Mode::empty()).map_err(failed)?,
            name: name.to_owned(),
            path: path.to_owned(),
        })
    }

    /// The path as it was given.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file to read it; `None` if it is not there.
    ///
    /// # Errors
    /// It is no regular file, or may not be read.
    pub(super) fn open(&self) -> Result<Option<File>, StatesError> {
        let failed = |error: Errno| of_system(error, &self.path, "read");
        // Looked at before it is opened: opening a device may do something.
        match rustix::fs::statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => self.must_be_regular(stat.st_mode)?,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(failed(error)),
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.directory, &self.name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        self.must_be_regular(rustix::fs::fstat(&file).map_err(failed)?.st_mode)?;
        Ok(Some(File::from(file)))
    }

    fn must_be_regular(&self, raw_mode: u32) -> Result<(), StatesError> {
        let path = self.path.display();
        let (name, what) = match FileType::from_raw_mode(raw_mode) {
            FileType::RegularFile => return Ok(()),
            FileType::Directory => (&IS_DIRECTORY, "a directory"),
            FileType::Symlink => (&IS_SYMLINK, "a symbolic link"),
            _ => (&NOT_REGULAR, "a device, a pipe or a socket"),
        };
        Err(fault(name, format!("`{path}` is {what}, and no regular file.")))
    }

    /// Makes a file that only its owner can read, to be published when it is ready.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn create(&self) -> Result<Unready<'_>, StatesError> {
        self.sweep()?;
        let failed = |error: Errno| of_system(error, &self.path, "written");
        let number =
            getrandom::u64().map_err(|error| of_system(std::io::Error::other(error), &self.path, "written"))?;
        let mut name = self.unready();
        name.push(format!("{number:016x}"));
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.directory, &name, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
        let unready = Unready {
            place: self,
            name: Some(name),
            file: File::from(file),
        };
        // Tells the sweep that somebody is at work.
        rustix::fs::flock(&unready.file, FlockOperation::NonBlockingLockExclusive).map_err(failed)?;
        Ok(unready)
    }

    /// What the names of this file's unready ones begin with.
    fn unready(&self) -> OsString {
        use sha2::Digest;
        let digest = sha2::Sha256::digest(self.name.as_bytes());
        let mut name = OsString::from(UNREADY);
        for byte in digest.iter().take(4) {
            name.push(format!("{byte:02x}"));
        }
        name.push("-");
        name
    }

    /// Removes what a process that died left unready.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub(super) fn sweep(&self) -> Result<(), StatesError> {
        let failed = |error: Errno| of_system(error, &self.path, "reached");
        let prefix = self.unready();
        for entry in rustix::fs::Dir::read_from(&self.directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if !name.as_bytes().starts_with(prefix.as_bytes()) {
                continue;
            }
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            let Ok(file) = rustix::fs::openat(&self.directory, name, flags, Mode::empty()) else {
                continue;
            };
            if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
                let _ = rustix::fs::unlinkat(&self.directory, name, AtFlags::empty());
            }
        }
        Ok(())
    }

    /// Removes the file, if it is there.
    ///
    /// # Errors
    /// It cannot be removed.
    pub(super) fn remove(&self) -> Result<(), StatesError> {
        match rustix::fs::unlinkat(&self.directory, &self.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => self.sync(),
            Err(error) => Err(of_system(error, &self.path, "removed")),
        }
    }

    fn sync(&self) -> Result<(), StatesError> {
        rustix::fs::fsync(&self.directory).map_err(|error| of_system(error, &self.path, "brought to the disk"))
    }
}

impl Unready<'_> {
    /// Brings the file to the disk and gives it its name, in place of the one that has it.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn publish(mut self) -> Result<(), StatesError> {
        let place = self.place;
        let failed = |error: std::io::Error| of_system(error, &place.path, "written");
        self.file.sync_all().map_err(failed)?;
        if let Some(name) = &self.name {
            rustix::fs::renameat(&place.directory, name, &place.directory, &place.name)
                .map_err(|error| failed(error.into()))?;
            self.name = None;
        }
        place.sync()
    }
}

impl Drop for Unready<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _ = rustix::fs::unlinkat(&self.place.directory, name, AtFlags::empty());
        }
    }
}

/// Puts the parts of a path before what is left to walk.
fn prepend(todo: &mut VecDeque<OsString>, path: &Path) {
    for component in path.components().rev() {
        match component {
            Component::CurDir => {}
            component => todo.push_front(component.as_os_str().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::lchown;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::worker::action::testing::Scratch;

    fn name_of(result: Result<Option<File>, StatesError>) -> Option<String> {
        result.err().and_then(|error| error.name)
    }

    #[test]
    fn only_regular_files_at_the_end_of_trusted_ways() {
        let scratch = Scratch::new();
        let at = |name: &str| scratch.path().join(name);
        std::fs::create_dir(at("real")).unwrap();
        std::fs::write(at("real/file"), "x").unwrap();
        symlink("real", at("relative")).unwrap();
        symlink(at("real"), at("absolute")).unwrap();
        symlink("../relative", at("real/up")).unwrap();
        symlink("loop", at("loop")).unwrap();
        symlink("file", at("real/link")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, at("real/pipe"), Mode::RUSR).unwrap();
        for (path, expected) in [
            ("real/file", None),
            ("relative/file", None),
            ("absolute/file", None),
            ("real/up/file", None),
            ("real/absent", None),
            ("real/link", Some("File.IsSymlink")),
            ("real/pipe", Some("File.NotRegular")),
            ("relative", Some("File.IsSymlink")),
            ("real", Some("File.IsDirectory")),
            ("real/", Some("File.IsDirectory")),
            ("loop/file", Some("File.IsSymlink")),
            ("absent/file", Some("File.NotFound")),
            ("real/file/x", Some("File.NotADirectory")),
        ] {
            let opened = Place::find(&at(path)).and_then(|place| place.open());
            assert_eq!(name_of(opened).as_deref(), expected, "{path}");
        }
        // Only the superuser can make a link that is somebody else's.
        if rustix::process::geteuid().is_root() {
            lchown(at("relative"), Some(65534), None).unwrap();
            let error = Place::find(&at("relative/file")).unwrap_err();
            assert_eq!(error.name.as_deref(), Some("File.IsSymlink"));
            assert!(error.cause.unwrap().contains("belongs to the user 65534"));
        }
    }

    #[test]
    fn what_a_dead_process_left_is_swept_and_what_a_living_one_writes_is_not() {
        let scratch = Scratch::new();
        let place = Place::find(&scratch.path().join("file")).unwrap();
        let mut left = place.create().unwrap();
        left.file.write_all(b"half").unwrap();
        let name = left.name.take().unwrap();
        drop(left);
        assert!(scratch.path().join(&name).exists());
        let living = place.create().unwrap();
        assert!(!scratch.path().join(&name).exists());
        place.sweep().unwrap();
        living.publish().unwrap();
        let names: Vec<_> = std::fs::read_dir(scratch.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["file"]);
    }
}
