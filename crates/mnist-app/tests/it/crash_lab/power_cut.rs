//! What a disk may have of the changes that were made before the power went out.
//!
//! What was synced is there. What was not may be there, as a whole or in part, or not at all: the
//! bytes of a file, and independently each name that was given or taken in a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::process::Change;

/// What is in a folder: files with their bytes, and folders, which have none.
pub type Image = BTreeMap<PathBuf, Option<Vec<u8>>>;

/// The bytes of a file, on the disk and as the system has them in memory.
#[derive(Clone, Default)]
struct Bytes {
    synced: Vec<u8>,
    written: Vec<u8>,
}

/// What became of bytes that were not synced.
#[derive(Clone, Copy)]
enum Unsynced {
    Kept,
    Lost,
    /// Half of those that were added.
    Torn,
    /// The file is as long as it was to be, with zeros in it.
    Zeros,
}

impl Bytes {
    fn after(&self, unsynced: Unsynced) -> Vec<u8> {
        let Self { synced, written } = self;
        let added = written.strip_prefix(synced.as_slice()).unwrap_or_default();
        match unsynced {
            Unsynced::Kept => written.clone(),
            Unsynced::Lost => synced.clone(),
            Unsynced::Torn => [synced, &added[..added.len() / 2]].concat(),
            Unsynced::Zeros => [synced.as_slice(), &vec![0; added.len()]].concat(),
        }
    }
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Node {
    Folder,
    /// The number of a file, which may have several names.
    File(usize),
}

/// Names of a path that come or go together.
#[derive(Clone, Debug)]
struct Renaming(Vec<(PathBuf, Option<Node>)>);

type Names = BTreeMap<PathBuf, Node>;

impl Renaming {
    fn apply(&self, names: &mut Names) {
        for (path, node) in &self.0 {
            match node {
                Some(node) => names.insert(path.clone(), *node),
                None => names.remove(path),
            };
        }
    }
}

/// A disk with its system.
#[derive(Default)]
struct Disk {
    files: Vec<Bytes>,
    /// As programs see them.
    names: Names,
    /// As they are on the disk.
    synced: Names,
    /// What the disk lacks of the names.
    unsynced: Vec<Renaming>,
}

impl Disk {
    /// A change that the system would refuse is none.
    fn change(&mut self, change: &Change) {
        match change {
            Change::CreateFolder(path) => {
                if self.has_folder_of(path) && !self.names.contains_key(path) {
                    self.rename([(path.clone(), Some(Node::Folder))]);
                }
            }
            Change::CreateFile(path) => match self.file(path) {
                Some(file) => file.written.clear(),
                None => {
                    self.files.push(Bytes::default());
                    self.rename([(path.clone(), Some(Node::File(self.files.len() - 1)))]);
                }
            },
            Change::Append(path, bytes) => self.written(path).extend(bytes),
            Change::Truncate(path, len) => {
                self.written(path).resize(usize::try_from(*len).unwrap(), 0);
            }
            Change::SyncFile(path) => {
                let file = self.file(path).unwrap();
                file.synced.clone_from(&file.written);
            }
            Change::Link(from, to) => self.rename([(to.clone(), Some(self.names[from]))]),
            Change::Rename(from, to) => {
                self.rename([(from.clone(), None), (to.clone(), Some(self.names[from]))]);
            }
            Change::Remove(path) => {
                if self.names.contains_key(path) {
                    self.rename([(path.clone(), None)]);
                }
            }
            Change::SyncFolder(folder) => {
                let folder = if folder == Path::new(".") { Path::new("") } else { folder };
                let is_here = |renaming: &Renaming| renaming.0[0].0.parent().unwrap() == folder;
                for renaming in self.unsynced.iter().filter(|renaming| is_here(renaming)) {
                    renaming.apply(&mut self.synced);
                }
                self.unsynced.retain(|renaming| !is_here(renaming));
            }
        }
    }

    fn has_folder_of(&self, path: &Path) -> bool {
        let folder = path.parent().unwrap();
        folder == Path::new("") || self.names.get(folder) == Some(&Node::Folder)
    }

    fn rename<const N: usize>(&mut self, names: [(PathBuf, Option<Node>); N]) {
        let renaming = Renaming(names.into());
        renaming.apply(&mut self.names);
        self.unsynced.push(renaming);
    }

    fn file(&mut self, path: &Path) -> Option<&mut Bytes> {
        match self.names.get(path)? {
            Node::Folder => None,
            Node::File(number) => Some(&mut self.files[*number]),
        }
    }

    fn written(&mut self, path: &Path) -> &mut Vec<u8> {
        &mut self.file(path).unwrap_or_else(|| panic!("{path:?} is no file")).written
    }

    /// All that may be on the disk if the power goes out now.
    fn images(&self) -> BTreeSet<Image> {
        let mut images = BTreeSet::new();
        // Any of the names; of many those of the last changes.
        let old = self.unsynced.len().saturating_sub(MOST_CHOICES);
        for choice in 0..1_u32 << (self.unsynced.len() - old) {
            let mut names = self.synced.clone();
            for (number, renaming) in self.unsynced.iter().enumerate() {
                if number < old || choice >> (number - old) & 1 == 1 {
                    renaming.apply(&mut names);
                }
            }
            use Unsynced::{Kept, Lost, Torn, Zeros};
            images.extend([Kept, Lost, Torn, Zeros].map(|unsynced| self.image(&names, unsynced)));
        }
        images
    }

    fn image(&self, names: &Names, unsynced: Unsynced) -> Image {
        let is_there = |path: &Path| {
            let mut above = path.ancestors().skip(1);
            above.all(|folder| folder == Path::new("") || names.contains_key(folder))
        };
        let names = names.iter().filter(|(path, _)| is_there(path));
        let contents = |node: &Node| match node {
            Node::Folder => None,
            Node::File(number) => Some(self.files[*number].after(unsynced)),
        };
        names.map(|(path, node)| (path.clone(), contents(node))).collect()
    }
}

/// Of so many names that were not synced, each may be there or not.
const MOST_CHOICES: usize = 5;

/// All that may be on a disk that was empty before these changes, if the power goes out before
/// one of them or after the last.
pub fn images(changes: &[Change]) -> BTreeSet<Image> {
    let mut disk = Disk::default();
    let mut images = disk.images();
    for change in changes {
        disk.change(change);
        images.extend(disk.images());
    }
    images
}

/// Writes an image into a folder.
pub fn restore(image: &Image, folder: &Path) {
    for (path, bytes) in image {
        match bytes {
            None => fs::create_dir(folder.join(path)).unwrap(),
            Some(bytes) => fs::write(folder.join(path), bytes).unwrap(),
        }
    }
}

#[test]
fn what_was_synced_is_there_and_the_rest_may_be() {
    let path = |name: &str| PathBuf::from(name);
    let mut changes = vec![
        Change::CreateFile(path("a.partial")),
        Change::Append(path("a.partial"), b"1234".into()),
        Change::SyncFile(path("a.partial")),
        Change::Rename(path("a.partial"), path("a")),
        Change::SyncFolder(path(".")),
    ];
    let image = |files: &[(&str, &[u8])]| -> Image {
        files.iter().map(|(name, bytes)| (path(name), Some(bytes.to_vec()))).collect()
    };
    let partials: [&[u8]; 4] = [b"", b"12", b"\0\0\0\0", b"1234"];
    let mut expected: BTreeSet<_> =
        partials.map(|bytes| image(&[("a.partial", bytes)])).into_iter().collect();
    expected.extend([image(&[]), image(&[("a", b"1234")])]);
    assert_eq!(images(&changes), expected);
    // Without the file's sync its name may be there and its bytes not.
    changes.remove(2);
    assert!(images(&changes).contains(&image(&[("a", b"12")])));
    // And once all is synced, nothing is lost.
    let mut disk = Disk::default();
    changes.insert(2, Change::SyncFile(path("a.partial")));
    changes.iter().for_each(|change| disk.change(change));
    assert_eq!(disk.images(), [image(&[("a", b"1234")])].into());
}
