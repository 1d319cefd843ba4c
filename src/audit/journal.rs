//! Copies for systemd's journal, by its native protocol: fields as they are, and an error when it does not take them.

use std::io;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use rustix::net::SendAncillaryBuffer;
use rustix::net::SendAncillaryMessage;
use rustix::net::SendFlags;

use crate::audit::anchor::Anchor;
use crate::audit::record::Record;

/// Where journald listens.
const SOCKET: &str = "/run/systemd/journal/socket";

/// The way to the journal.
#[derive(Debug)]
pub struct Journal(UnixDatagram);

impl Journal {
    /// Finds the journal of this machine, if it has one.
    pub fn of_this_machine() -> Option<Self> {
        Self::at(Path::new(SOCKET)).ok()
    }

    pub(super) fn at(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        Ok(Self(socket))
    }

    /// Gives it an entry that `entry` or `anchor_entry` made.
    ///
    /// # Errors
    /// It does not take it.
    pub(super) fn send(&self, entry: &[u8]) -> io::Result<()> {
        match self.0.send(entry) {
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error()) => {
                self.send_large(entry)
            }
            result => result.map(|_| ()),
        }
    }

    /// An entry that is too long for a datagram goes in a sealed memory file.
    fn send_large(&self, entry: &[u8]) -> io::Result<()> {
        let flags = rustix::fs::MemfdFlags::ALLOW_SEALING | rustix::fs::MemfdFlags::CLOEXEC;
        let memory: OwnedFd = rustix::fs::memfd_create("stepfn-audit", flags)?;
        let mut file = std::fs::File::from(memory);
        file.write_all(entry)?;
        rustix::fs::fcntl_add_seals(&file, rustix::fs::SealFlags::all())?;
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut message = SendAncillaryBuffer::new(&mut space);
        let descriptors = [file.as_fd()];
        message.push(SendAncillaryMessage::ScmRights(&descriptors));
        rustix::net::sendmsg(&self.0, &[], &mut message, SendFlags::empty())?;
        Ok(())
    }
}

/// Returns a record as an entry.
pub(super) fn entry(record: &Record) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    field(&mut out, "MESSAGE", &record.say);
    field(&mut out, "SYSLOG_IDENTIFIER", "stepfn-audit");
    field(&mut out, "PRIORITY", "6");
    field(&mut out, "SFN_EVENT", &record.event.word());
    field(&mut out, "SFN_TIME", &record.ts.to_string());
    let principals = [("SFN_ACTOR", &record.who), ("SFN_ON_BEHALF_OF", &record.on_behalf_of)];
    for (name, principal) in principals {
        if let Some(principal) = principal {
            field(&mut out, name, &principal.name);
        }
    }
    let login = record.who.as_ref().and_then(|who| who.login.as_ref());
    let number = |number: Option<u64>| number.map(|number| number.to_string().into());
    let texts = [
        ("SFN_LOGIN", login.map(|login| login.user.clone())),
        ("SFN_EXECUTION", record.execution.clone()),
        ("SFN_STATE_MACHINE", record.state_machine.clone()),
        ("SFN_DEFINITION", record.definition.clone()),
        ("SFN_STATE", record.state.clone()),
        ("SFN_ATTEMPT", number(record.attempt.map(u64::from))),
        ("SFN_RESOURCE", record.resource.clone()),
        ("SFN_RUN_AS", record.run_as.as_ref().map(|run_as| run_as.user.clone())),
        (
            "SFN_RULE",
            record.decision.as_ref().map(|decision| decision.rule.clone()),
        ),
        ("SFN_ACTION", record.action.clone()),
        ("SFN_RESULT", record.result.clone()),
        ("SFN_ERROR", record.error.clone()),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            field(&mut out, name, &text);
        }
    }
    out
}

/// Returns an anchor as an entry.
pub(super) fn anchor_entry(anchor: &Anchor) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    let (seq, hash) = (anchor.seq.to_string(), &anchor.hash);
    field(
        &mut out,
        "MESSAGE",
        &format!("The audit log stands at record {seq}, {hash}."),
    );
    field(&mut out, "SYSLOG_IDENTIFIER", "stepfn-audit");
    field(&mut out, "PRIORITY", "5");
    field(&mut out, "SFN_EVENT", "anchor");
    field(&mut out, "SFN_ANCHOR", anchor.line().trim_end());
    out
}

fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    if value.contains('\n') {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value.as_bytes());
    out.push(b'\n');
}
