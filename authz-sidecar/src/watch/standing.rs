//! Which watches stand: how old what is in force may be.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use glyph_authz_core::index::{Kind, Scope};

/// A watch, by the kind's name and the namespace.
type Watch = (&'static str, Scope);

/// Since when each watch has been broken that does not stand.
#[derive(Default)]
pub struct Standing(Mutex<BTreeMap<Watch, Instant>>);

impl Standing {
    /// The watch of `kind` over `scope` is open: what changes is told.
    pub(super) fn stands(&self, kind: Kind, scope: &Scope) {
        self.broken().remove(&(kind.as_str(), scope.clone()));
    }

    /// It is not; said again, it has been since the first time.
    pub(super) fn is_broken(&self, kind: Kind, scope: &Scope) {
        let watch = (kind.as_str(), scope.clone());
        self.broken().entry(watch).or_insert_with(Instant::now);
    }

    /// How long the API server has not been heard of resources of `kind`: nothing while its watches stand.
    #[must_use]
    pub fn age(&self, kind: Kind) -> Duration {
        let broken = self.broken();
        let of_kind = broken.iter().filter(|((of, _), _)| *of == kind.as_str());
        of_kind
            .map(|(_, since)| since.elapsed())
            .max()
            .unwrap_or_default()
    }

    fn broken(&self) -> MutexGuard<'_, BTreeMap<Watch, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_as_old_as_its_longest_broken_watch() {
        let standing = Standing::default();
        let [here, there]: [Scope; 2] = ["here", "there"].map(|name| Some(name.into()));
        assert_eq!(standing.age(Kind::Key), Duration::ZERO);
        standing.is_broken(Kind::Key, &here);
        let first = Instant::now();
        standing.is_broken(Kind::Key, &there);
        standing.is_broken(Kind::Key, &here);
        standing.stands(Kind::Key, &there);
        assert!(standing.age(Kind::Key) >= first.elapsed());
        assert_eq!(standing.age(Kind::Tier), Duration::ZERO);
        standing.stands(Kind::Key, &here);
        assert_eq!(standing.age(Kind::Key), Duration::ZERO);
    }
}
