//! A small Debian system in a directory, made of this machine's own dpkg and apt, with a repository of its
//! own. Packages of this machine are never touched.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "shared by test programs, each of which uses a part"
)]

pub mod room;

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Output;
use std::sync::OnceLock;

/// What the system needs to run apt, dpkg and the scripts of packages.
const PROGRAMS: &[&str] = &[
    "apt-get",
    "apt-mark",
    "cat",
    "dash",
    "diff",
    "dpkg",
    "dpkg-deb",
    "dpkg-query",
    "dpkg-split",
    "gzip",
    "ldconfig",
    "ln",
    "mkdir",
    "mv",
    "rm",
    "sleep",
    "start-stop-daemon",
    "tar",
    "touch",
    "xz",
];
const DIRECTORIES: &[&str] = &[
    "dev",
    "etc/apt/apt.conf.d",
    "etc/apt/preferences.d",
    "etc/apt/sources.list.d",
    "etc/dpkg/dpkg.cfg.d",
    "proc",
    "repo",
    "tmp",
    "usr/bin",
    "usr/lib",
    "usr/lib64",
    "usr/lib/apt",
    "usr/sbin",
    "usr/share",
    "var/cache/apt/archives/partial",
    "var/lib/apt/lists/partial",
    "var/lib/dpkg/alternatives",
    "var/lib/dpkg/info",
    "var/lib/dpkg/triggers",
    "var/lib/dpkg/updates",
    "var/log/apt",
];
const CONFIGURATION: &str = "APT::Sandbox::User \"root\";\nAPT::Install-Recommends \"true\";\n";

/// A system.
pub struct ScratchSystem {
    /// Its directory.
    pub root: PathBuf,
}

/// A package to be built.
#[derive(Default)]
pub struct Deb<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// More lines of its control file.
    pub control: &'a str,
    /// Its files, by absolute path.
    pub files: &'a [(&'a str, &'a str)],
    /// Which of them are configuration.
    pub conffiles: &'a [&'a str],
    /// Its scripts, by name; `/bin/sh` runs them.
    pub scripts: &'a [(&'a str, &'a str)],
}

fn run(command: &mut Command) -> Result<Output, String> {
    let output = command
        .output()
        .map_err(|error| format!("{command:?} cannot be started: {error}"))?;
    match output.status.success() {
        true => Ok(output),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))),
    }
}

fn find(program: &str) -> Result<PathBuf, String> {
    let directories = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];
    let mut paths = directories.iter().map(|directory| Path::new(directory).join(program));
    paths
        .find(|path| path.exists())
        .ok_or(format!("there is no `{program}`"))
}

/// Makes what all systems of this process share: nothing in it is changed in place afterwards.
fn template(directory: &Path) -> Result<(), String> {
    let io = |error: std::io::Error| error.to_string();
    for name in DIRECTORIES {
        fs::create_dir_all(directory.join(name)).map_err(io)?;
    }
    for name in ["bin", "sbin", "lib", "lib64"] {
        std::os::unix::fs::symlink(format!("usr/{name}"), directory.join(name)).map_err(io)?;
    }
    let mut programs = Vec::new();
    for program in PROGRAMS {
        let path = find(program)?;
        fs::copy(&path, directory.join("usr/bin").join(program)).map_err(io)?;
        programs.push(path);
    }
    std::os::unix::fs::symlink("dash", directory.join("usr/bin/sh")).map_err(io)?;
    for part in ["/usr/lib/apt/methods", "/usr/share/dpkg"] {
        let into = directory.join(part.trim_start_matches('/'));
        run(Command::new("cp").arg("-r").arg(part).arg(into))?;
    }
    for entry in fs::read_dir("/usr/lib/apt/methods").map_err(io)? {
        programs.push(entry.map_err(io)?.path());
    }
    for program in programs {
        // A script has no libraries: `ldd` complains.
        let Ok(output) = Command::new("ldd").arg(program).output() else {
            return Err("there is no `ldd`".to_owned());
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        for library in text.split_whitespace().filter(|word| word.starts_with('/')) {
            let into = directory.join(library.trim_start_matches('/'));
            if !into.exists() {
                fs::create_dir_all(into.parent().unwrap_or(directory)).map_err(io)?;
                fs::copy(library, into).map_err(io)?;
            }
        }
    }
    fs::write(directory.join("etc/apt/apt.conf"), CONFIGURATION).map_err(io)?;
    fs::write(directory.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n").map_err(io)?;
    fs::write(directory.join("etc/group"), "root:x:0:\n").map_err(io)?;
    for name in ["status", "available"] {
        fs::write(directory.join("var/lib/dpkg").join(name), "").map_err(io)?;
    }
    let null = directory.join("dev/null");
    run(Command::new("mknod")
        .args(["-m", "666"])
        .arg(null)
        .args(["c", "1", "3"]))?;
    run(Command::new("chroot").arg(directory).args(["apt-get", "--version"]))?;
    Ok(())
}

impl ScratchSystem {
    /// Makes a system without packages in a new directory.
    ///
    /// # Errors
    /// This machine cannot: it says why.
    pub fn new(root: PathBuf) -> Result<Self, String> {
        static TEMPLATE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let template = TEMPLATE.get_or_init(|| {
            let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("debian-template");
            let _ = fs::remove_dir_all(&directory);
            template(&directory).map(|()| directory)
        });
        let template = template.clone()?;
        let _ = fs::remove_dir_all(&root);
        run(Command::new("cp").arg("-al").arg(template).arg(&root))?;
        fs::write(root.join("repo/Packages"), "").map_err(|it| it.to_string())?;
        fs::write(root.join("etc/apt/sources.list"), "deb [trusted=yes] file:/repo ./\n")
            .map_err(|it| it.to_string())?;
        Ok(Self { root })
    }

    /// Builds packages, adds them to the repository, and lets apt read its lists.
    pub fn publish(&self, debs: &[Deb<'_>]) {
        for deb in debs {
            self.build(deb);
        }
        self.sh("apt-get -q update").unwrap();
    }

    fn build(&self, deb: &Deb<'_>) {
        let tree = self.root.join("tmp").join(deb.name);
        let control = tree.join("DEBIAN");
        fs::create_dir_all(&control).unwrap();
        let fields = format!(
            "Package: {}\nVersion: {}\nArchitecture: all\nMaintainer: Nobody <nobody@example.com>\nDescription: a test\n{}",
            deb.name, deb.version, deb.control
        );
        fs::write(control.join("control"), &fields).unwrap();
        for (path, text) in deb.files {
            let path = tree.join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let conffiles: String = deb.conffiles.iter().map(|path| format!("{path}\n")).collect();
        fs::write(control.join("conffiles"), conffiles).unwrap();
        for (name, script) in deb.scripts {
            let path = control.join(name);
            fs::write(&path, format!("#!/bin/sh\nset -e\n{script}\n")).unwrap();
            run(Command::new("chmod").arg("755").arg(path)).unwrap();
        }
        let file = format!("{}_{}_all.deb", deb.name, deb.version.replace(':', "%3a"));
        let path = self.root.join("repo").join(&file);
        let mut build = Command::new("dpkg-deb");
        build.args(["--root-owner-group", "-Znone", "--build"]);
        run(build.arg(&tree).arg(&path)).unwrap();
        fs::remove_dir_all(&tree).unwrap();
        let sum = run(Command::new("sha256sum").arg(&path)).unwrap();
        let sum = String::from_utf8(sum.stdout).unwrap();
        let size = fs::metadata(&path).unwrap().len();
        let index = self.root.join("repo/Packages");
        let mut text = fs::read_to_string(&index).unwrap_or_default();
        text.push_str(&format!(
            "{fields}Filename: ./{file}\nSize: {size}\nSHA256: {}\n\n",
            sum.split(' ').next().unwrap()
        ));
        fs::write(index, text).unwrap();
    }

    /// Runs a script in the system, and returns what it wrote.
    ///
    /// # Errors
    /// It failed: what it wrote to stderr.
    pub fn sh(&self, script: &str) -> Result<String, String> {
        let output = run(self.command(script).env("DEBIAN_FRONTEND", "noninteractive"))?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Makes the command that runs a script in the system.
    pub fn command(&self, script: &str) -> Command {
        let mut command = Command::new("chroot");
        command
            .arg(&self.root)
            .args(["/bin/sh", "-e", "-c", script])
            .env("LC_ALL", "C");
        command
    }

    /// Returns all that dpkg and apt know: versions, states, marks, holds, and the packages' files.
    pub fn snapshot(&self) -> String {
        let format = "${Package} ${Architecture} ${Version} ${db:Status-Abbrev}${Conffiles}\\n";
        self.sh(&format!(
            "dpkg-query -W -f '{format}'; apt-mark showmanual; apt-mark showauto; apt-mark showhold; \
             cd /; set -- opt/* etc/*.conf; echo \"$@\""
        ))
        .unwrap()
    }

    /// Returns the versions of the packages that are there, as `name version status`.
    pub fn packages(&self) -> Vec<String> {
        let format = "${Package} ${Version} ${db:Status-Abbrev}\\n";
        let text = self.sh(&format!("dpkg-query -W -f '{format}'")).unwrap();
        text.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    /// Returns where a file of the system is.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}
