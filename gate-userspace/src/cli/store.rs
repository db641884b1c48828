//! `gatectl store`: a backup under a running gate, and the way from one file to a server.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use serde_json::json;
use zeroize::Zeroizing;

use super::{
    call::{Gate, Question},
    exit::Exit,
    fault::Fault,
    parse::{HostRole, StoreBackup, StoreCommand, StoreCopy},
    print::{self, Answer, Block, Tone},
    progress::Progress,
    say, secret_input,
    settle::{self, PASSWORD},
};
use crate::{
    admin::wire,
    store::offline::{self, CopyError, Moved, Place, copy},
};

pub(super) async fn run(gate: &Gate, command: StoreCommand) -> Result<Answer, Fault> {
    match command {
        StoreCommand::Backup(args) => backup(gate, &args).await,
        StoreCommand::Copy(args) => copy_to(gate, &args).await,
        StoreCommand::HostRole(args) => Ok(host_role(&args)),
    }
}

async fn backup(gate: &Gate, args: &StoreBackup) -> Result<Answer, Fault> {
    let bytes = download(gate, &args.file).await?;
    let shown = args.file.display().to_string();
    let json = json!({"file": shown, "bytes": bytes});
    let text = format!("wrote {bytes} bytes to {shown}");
    Ok(Answer::new(json, vec![Block::line(Tone::Good, text)]))
}

/// Whole and on the disk, or not there.
async fn download(gate: &Gate, path: &Path) -> Result<u64, Fault> {
    let cannot = |cause: std::io::Error| {
        let fault = Fault::refused(format!("cannot write {}", path.display()));
        let fault = if cause.kind() == std::io::ErrorKind::AlreadyExists {
            fault.hint("a backup never replaces a file: name another one")
        } else {
            fault
        };
        fault.because(cause)
    };
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(cannot)?;
    let done = fetch(gate, &mut file).await;
    let done = done.and_then(|bytes| file.sync_all().map(|()| bytes).map_err(cannot));
    if done.is_err() {
        // It is ours: it was not there before. What is wrong is told anyway.
        let _stays = std::fs::remove_file(path);
    }
    done
}

async fn fetch(gate: &Gate, file: &mut File) -> Result<u64, Fault> {
    let mut progress = Progress::new("bytes");
    let (mut bytes, question) = (0, Question::get("/v1/store/backup"));
    let mut download = gate.download(question).await?;
    let length = download.length();
    while let Some(piece) = download.next().await? {
        file.write_all(&piece)
            .map_err(|cause| Fault::refused("cannot write the backup").because(cause))?;
        bytes += piece.len() as u64;
        progress.at(bytes, length.unwrap_or(bytes));
    }
    progress.end();
    if length.is_some_and(|length| length != bytes) {
        return Err(Fault::unreachable("the backup broke off"));
    }
    Ok(bytes)
}

async fn copy_to(gate: &Gate, args: &StoreCopy) -> Result<Answer, Fault> {
    let place = target(args)?;
    let scratch;
    let from = if let Some(path) = &args.from {
        path
    } else {
        scratch = Scratch::new()?;
        download(gate, &scratch.file).await?;
        &scratch.file
    };
    let mut progress = Progress::new("rows");
    let mut tell = |moved: Moved| {
        progress.about(moved.table);
        progress.at(moved.rows, moved.of);
    };
    let copied = copy(from, &place, &mut tell).await;
    let copied = copied.map_err(|why| refused(why, &place));
    progress.end();
    let copied = copied?;
    let exit = if args.from.is_none() && has_moved_on(gate, copied.revision).await? {
        say::note(&format!(
            "the gate was changed after revision {}, and that is not in the copy: empty the \
             database and copy again while nobody provisions",
            copied.revision
        ));
        Exit::Finding
    } else {
        Exit::Ok
    };
    let did = if copied.was_there {
        "was there already"
    } else {
        "copied and counted"
    };
    let (rows, revision) = (copied.rows, copied.revision);
    let text = format!("{place}: {rows} rows up to revision {revision} {did}");
    let json = json!({
        "to": place.to_string(), "rows": rows, "revision": revision,
        "was_there": copied.was_there,
    });
    Ok(Answer::new(json, vec![Block::line(Tone::Good, text)]).exit(exit))
}

async fn has_moved_on(gate: &Gate, copied: i64) -> Result<bool, Fault> {
    let json = gate.ask(Question::get("/v1/status")).await?;
    let status: wire::Status = print::read(&json)?;
    Ok(status.revision.0 > copied.unsigned_abs())
}

fn target(args: &StoreCopy) -> Result<Place, Fault> {
    const WHAT: &str = "URL of the target";
    match (&args.to, &args.to_env) {
        (Some(url), _) => place(url, true),
        (None, Some(name)) => place(secret_input::from_env(WHAT, name)?.reveal(), false),
        (None, None) => place(secret_input::from_stdin(WHAT)?.reveal(), false),
    }
}

/// A server; its password is `$PGPASSWORD` unless it stands in a URL that nobody else can read.
pub(super) fn place(url: &str, is_argument: bool) -> Result<Place, Fault> {
    let place: Place = url.parse().map_err(|why: offline::BadPlace| {
        Fault::usage("the URL cannot be used")
            .because(why)
            .hint("it looks like `postgres://gate@db.example/gate?sslmode=verify-full`")
    })?;
    if is_argument && place.has_password() {
        return Err(Fault::usage(
            "the URL has a password in it, and every user can read arguments",
        )
        .hint(format!(
            "leave it out and set ${PASSWORD}, or name a variable that holds the URL"
        )));
    }
    let password = settle::process_env(PASSWORD).filter(|text| !text.is_empty());
    Ok(place.with_password(password.map(Zeroizing::new)))
}

fn refused(why: CopyError, place: &Place) -> Fault {
    let hint = match &why {
        CopyError::NotEmpty { .. } => "name an empty database: `createdb gate`",
        CopyError::Backup(_) | CopyError::Miscounted { .. } => {
            "make a backup and use `--from FILE`"
        }
        CopyError::NoServer => "a store moves from a file to a server: postgres://...",
        CopyError::Store(_) => "may this user connect and create tables there?",
    };
    Fault::refused(format!("cannot copy to {place}"))
        .because(why)
        .hint(hint)
}

fn host_role(args: &HostRole) -> Answer {
    let sql = offline::host_grants(&args.role);
    let json = json!({"role": args.role, "sql": sql});
    Answer::new(json, vec![Block::Exact(sql)])
}

/// A place of our own for the backup that is copied; gone with this.
struct Scratch {
    folder: PathBuf,
    file: PathBuf,
}

impl Scratch {
    fn new() -> Result<Self, Fault> {
        use std::os::unix::fs::DirBuilderExt as _;
        let name = format!("gatectl-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(|cause| {
                Fault::refused(format!("cannot make {}", folder.display())).because(cause)
            })?;
        let file = folder.join("gate.db");
        Ok(Self { folder, file })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _stays = std::fs::remove_dir_all(&self.folder);
    }
}
