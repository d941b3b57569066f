//! The cgroups in which a node's pods are accounted and limited. They outlive their processes, so somebody has to
//! remove them even when the owner was killed: a shell that waits for the owner's end.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::error::{Error, Result};
use crate::process::spawn;
use crate::store::recipe;

const HIERARCHIES: &str = "/sys/fs/cgroup";
const PREFIX: &str = "glyph-";

/// One cgroup in each hierarchy (version 1), or the one there is (version 2); removed when dropped.
pub(super) struct Cgroups {
    name: String,
    remover: Child,
}

impl Cgroups {
    /// Makes them for the node in `folder`. What killed owners and their removers left is removed first.
    pub(super) fn create(folder: &Path) -> Result<Self> {
        sweep()?;
        let unique = folder.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{PREFIX}{unique}");
        let remover = remover(&name, Stdio::piped())?;
        let made = Self { name, remover };
        for hierarchy in hierarchies() {
            let cgroup = hierarchy.join(&made.name);
            let doing = || format!("make the cgroup {}", cgroup.display());
            fs::create_dir(&cgroup).map_err(Error::io(doing()))?;
            inherit(&hierarchy, &cgroup).map_err(Error::io(doing()))?;
        }
        Ok(made)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        drop(self.remover.stdin.take());
        // It gives up by itself; what it leaves, the next start removes.
        let _ = self.remover.wait();
    }
}

/// Removes the cgroups `name` once `owner` ends.
fn remover(name: &str, owner: Stdio) -> Result<Child> {
    let mut remover = Command::new("sh");
    remover
        .arg(recipe("node").join("remove-cgroups.sh"))
        .arg(name);
    remover
        .stdin(owner)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    remover.process_group(0);
    spawn(remover).map_err(Error::io("start what removes cgroups"))
}

/// Removes the cgroups of nodes whose owners are gone.
fn sweep() -> Result<()> {
    let left: BTreeSet<String> = hierarchies().iter().flat_map(|one| left_in(one)).collect();
    for name in left {
        let _ = remover(&name, Stdio::null())?.wait();
    }
    Ok(())
}

fn left_in(hierarchy: &Path) -> Vec<String> {
    let entries = fs::read_dir(hierarchy).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| is_left(name)).collect()
}

/// Whether a name is one of ours (`glyph-<pid>-node-…`) and its owner is gone.
fn is_left(name: &str) -> bool {
    let owner = name
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split_once("-node-"))
        .and_then(|(owner, _)| owner.parse::<u32>().ok());
    owner.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
}

/// The folder itself with version 2, one for each controller with version 1.
fn hierarchies() -> Vec<PathBuf> {
    let root = PathBuf::from(HIERARCHIES);
    let is_one = |folder: &PathBuf| folder.join("cgroup.procs").exists();
    if is_one(&root) {
        return vec![root];
    }
    let entries = fs::read_dir(&root).into_iter().flatten().flatten();
    // Version 1 links joined controllers to one folder: cpu to cpu,cpuacct.
    let folders = entries.map(|entry| entry.path());
    folders
        .filter(|path| !path.is_symlink() && is_one(path))
        .collect()
}

/// A new cpuset of version 1 has neither processors nor memory.
fn inherit(parent: &Path, cgroup: &Path) -> std::io::Result<()> {
    for setting in ["cpuset.cpus", "cpuset.mems"] {
        let of = |folder: &Path| fs::read_to_string(folder.join(setting)).unwrap_or_default();
        if of(cgroup).trim().is_empty() && !of(parent).trim().is_empty() {
            fs::write(cgroup.join(setting), of(parent))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::is_left;

    #[test]
    fn only_cgroups_of_owners_that_are_gone_are_left_over() {
        // Process ids end at 2^22.
        assert!(is_left("glyph-4194305-node-a1B2c3"));
        assert!(!is_left(&format!(
            "glyph-{}-node-a1B2c3",
            std::process::id()
        )));
        assert!(!is_left("glyph-node") && !is_left("system.slice"));
    }
}
