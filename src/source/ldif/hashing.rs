//! A file whose content is told from another one's.

use std::fs::File;
use std::io;
use std::path::Path;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// A file whose octets are hashed as they are read.
pub(super) struct Hashing {
    file: File,
    hash: Sha256,
}

impl Hashing {
    /// Opens a file.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            hash: Sha256::new(),
        })
    }

    /// The hash of all that has been read.
    pub(super) fn finish(self) -> String {
        HEXLOWER.encode(&self.hash.finalize())
    }
}

impl io::Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.hash.update(&buffer[..read]);
        Ok(read)
    }
}
