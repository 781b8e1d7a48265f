//! CSV files in a folder, for a person to upload.
//!
//! *Its one idea: handed over is handed over as a whole.* The files come first, then the manifest and a
//! page of instructions, each written to the side and put in its place in one step; only then does the
//! state file call them handed over. Whatever ends before that is taken away again, and planned anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::files::{Packed, content, file_name, heading, style};
use super::{Applied, Applier, ApplyError};
use crate::category::{CategoryId, ReferenceId};
use crate::clock;
use crate::killpoint;
use crate::plan::category::Named;
use crate::plan::show::many;

/// Where files are put that are settled, below their folder.
const SETTLED: &str = "settled";

/// What is in a folder: read by `rollbook settle`, and by whoever wants to check a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The run that wrote it.
    pub run: i64,
    /// When.
    pub made_at: jiff::Timestamp,
    /// The digest of the plan: what was approved.
    pub plan: String,
    /// Rows in all files together, without headings.
    pub rows: u64,
    /// The files, in the order in which they are to be uploaded.
    pub files: Vec<Written>,
}

/// A file in a folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Its name.
    pub name: String,
    /// Rows in it, without the heading.
    pub rows: u64,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
    /// The channels that it is about.
    pub categories: Vec<Named>,
}

impl Manifest {
    /// What the manifest is called that names this file.
    pub fn name_for(file: &str) -> String {
        format!("{}.json", stem(file))
    }

    /// What the page of instructions is called that is about this file.
    pub fn page_for(file: &str) -> String {
        format!("{}.txt", stem(file))
    }

    /// The manifests in a folder.
    pub fn find(folder: &Path) -> io::Result<Vec<Self>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_ours = name.starts_with("rollbook-run") && name.ends_with(".json");
            if is_ours && let Ok(manifest) = serde_json::from_slice::<Self>(&std::fs::read(&path)?)
            {
                found.push(manifest);
            }
        }
        found.sort_by_key(|manifest| manifest.run);
        Ok(found)
    }
}

/// What all files of a run have in common.
fn stem(file: &str) -> &str {
    file.rsplit_once('-').map_or(file, |(stem, _)| stem)
}

impl Applier {
    /// Writes actions as files into a folder.
    pub(super) async fn by_folder(
        &self,
        folder: &Path,
        pieces: Vec<Packed>,
    ) -> Result<Applied, ApplyError> {
        let failed = |source| ApplyError::Folder {
            folder: folder.to_owned(),
            source,
        };
        if pieces.is_empty() {
            return Ok(Applied::default());
        }
        std::fs::create_dir_all(folder).map_err(failed)?;
        let folder = std::fs::canonicalize(folder).map_err(failed)?;
        if folder.to_str().is_none() {
            let why = "its name is not UTF-8, and could not be found again";
            return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, why)));
        }
        let mut manifest = Manifest {
            run: self.run,
            made_at: clock::now().round(jiff::Unit::Second).unwrap_or_default(),
            plan: self.digest.0.clone(),
            rows: 0,
            files: Vec::new(),
        };
        let mut applied = Applied::default();
        let written = self
            .write_files(&folder, pieces, &mut manifest, &mut applied)
            .await
            .and_then(|()| put_papers(&folder, &manifest).map_err(failed));
        if let Err(error) = written {
            for file in &manifest.files {
                discard(&folder, &file.name);
                discard_papers(&folder, &file.name);
            }
            return Err(error);
        }
        killpoint::here("before-handing-over");
        let run = self.run;
        self.store.run(move |store| store.hand_over(run)).await?;
        Ok(applied)
    }

    async fn write_files(
        &self,
        folder: &Path,
        pieces: Vec<Packed>,
        manifest: &mut Manifest,
        applied: &mut Applied,
    ) -> Result<(), ApplyError> {
        for (number, pieces) in style(&self.csv).pack(pieces).enumerate() {
            let name = file_name(self.run, &self.tag, number);
            let channels: BTreeSet<Channel> = pieces.iter().map(channel).collect();
            let count = pieces.len() as u64;
            let (_, items) = self.open_file(&name, Some(folder), pieces).await?;
            killpoint::here("after-opening-a-file");
            let (items, moved) = self.leave_what_moved(items).await?;
            *applied = applied.add(moved);
            self.progress.advance(count);
            if items.is_empty() {
                continue;
            }
            let heading = heading(self.run, number, &self.digest);
            let content = content(&heading, style(&self.csv), &items)?;
            put(folder, &name, &content).map_err(|source| {
                // It may be in its place, and only not safe there.
                discard(folder, &name);
                let folder = folder.to_owned();
                ApplyError::Folder { folder, source }
            })?;
            killpoint::here("after-writing-a-file");
            let kept: BTreeSet<CategoryId> = items.iter().map(|item| item.doubt.category).collect();
            let rows: usize = items.iter().map(|item| item.rows.len()).sum();
            manifest.rows += rows as u64;
            manifest.files.push(Written {
                name,
                rows: rows as u64,
                bytes: content.len() as u64,
                sha256: HEXLOWER.encode(&Sha256::digest(&content)),
                categories: channels
                    .into_iter()
                    .filter(|(id, ..)| kept.contains(id))
                    .map(|(id, reference_id, name)| Named {
                        id,
                        reference_id,
                        name,
                    })
                    .collect(),
            });
            applied.handed += items.len() as u64;
        }
        Ok(())
    }
}

/// Writes the manifest and the page of instructions.
fn put_papers(folder: &Path, manifest: &Manifest) -> io::Result<()> {
    let Some(first) = manifest.files.first() else {
        return Ok(());
    };
    let page = instructions(folder, manifest);
    put(folder, &Manifest::page_for(&first.name), page.as_bytes())?;
    let text = serde_json::to_vec_pretty(manifest)?;
    put(folder, &Manifest::name_for(&first.name), &text)
}

type Channel = (CategoryId, Option<ReferenceId>, String);

fn channel(piece: &Packed) -> Channel {
    let named = &piece.tag.part.category;
    (named.id, named.reference_id.clone(), named.name.clone())
}

/// Writes a file to the side, and puts it in its place in one step: nobody ever sees half of it.
fn put(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new()
        .prefix(".rollbook-")
        // Whoever uploads it may be somebody else; the umask has the last word.
        .permissions(std::fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(folder.join(name))
        .map_err(|error| error.error)?;
    // Its place in the folder, too, is to outlive a power failure.
    std::fs::File::open(folder)?.sync_all()
}

/// Takes the papers away that are about a file: neither it nor those beside it are to be uploaded.
pub(crate) fn discard_papers(folder: &Path, file: &str) {
    discard(folder, &Manifest::name_for(file));
    discard(folder, &Manifest::page_for(file));
}

/// Puts a file that is settled into a folder of its own, so that nobody uploads it again.
pub(crate) fn put_away(folder: &Path, name: &str) {
    let (from, settled) = (folder.join(name), folder.join(SETTLED));
    if !from.exists() {
        return;
    }
    let moved =
        std::fs::create_dir_all(&settled).and_then(|()| std::fs::rename(&from, settled.join(name)));
    if let Err(error) = moved {
        let file = from.display();
        tracing::warn!(%file, %error, "a file that is settled cannot be put away: do not upload it again");
    }
}

/// Takes a file away that nobody is to upload any more.
pub(crate) fn discard(folder: &Path, name: &str) {
    let path = folder.join(name);
    let shown = path.display();
    match std::fs::remove_file(&path) {
        Ok(()) => tracing::info!(file = %shown, "a file that is not to be uploaded is taken away"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            tracing::error!(file = %shown, %error, "a file that must not be uploaded cannot be taken away: remove it");
        }
    }
}

/// What the person who uploads the files should know.
fn instructions(folder: &Path, manifest: &Manifest) -> String {
    let mut page = String::new();
    let _ = write!(
        page,
        "End-user entitlements of Rollbook run {run}, made on {made_at}\n\
         {files}, {rows}. Plan {plan}.\n\n\
         What to do\n\n\
         1. Upload the files soon: they say what was right when they were made, and Kaltura does not\n   \
            ask. Above all, a row with action 3 removes a member even if somebody has made the\n   \
            membership permanent by hand since.\n\
         2. In the Kaltura Management Console, submit them from the Upload menu as End-User Entitlements\n   \
            CSV, one file after the other, in this order, under their own names:\n\n",
        run = manifest.run,
        made_at = manifest.made_at.strftime("%Y-%m-%d %H:%M UTC"),
        files = many(manifest.files.len() as u64, "file"),
        rows = many(manifest.rows, "row"),
        plan = manifest.plan,
    );
    for file in &manifest.files {
        let _ = writeln!(page, "      {}  ({})", file.name, many(file.rows, "row"));
    }
    let _ = write!(
        page,
        "\n   \
            Wait until one is finished (Upload Control, Bulk Upload Log) before you upload the next.\n   \
            Upload each once. Do not edit them: a spreadsheet may change user IDs that look\n   \
            like numbers.\n\
         3. When all are finished, tell Rollbook:\n\n      \
            rollbook settle {folder}\n\n   \
            It finds the jobs by their file names. If it may not read them, download the log of each\n   \
            file from the Bulk Upload Log and give it along:\n\n      \
            rollbook settle {folder} --log FILE\n\n\
         If the files are never uploaded, say so, and their changes are planned again:\n\n      \
            rollbook settle {folder} --discard\n\n\
         Until then Rollbook leaves the people in these files alone in the channels in question.\n\n\
         Whether a file arrived as it was written: its SHA-256 is in {name}.\n",
        folder = folder.display(),
        name = manifest
            .files
            .first()
            .map(|file| Manifest::name_for(&file.name))
            .unwrap_or_default(),
    );
    page
}

#[cfg(test)]
mod tests;
