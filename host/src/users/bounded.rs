//! A map that forgets what was not used for longest.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// A map of at most so many entries; a full one forgets the entry that was not used for longest.
#[derive(Debug)]
pub(crate) struct Bounded<K, V> {
    most: usize,
    clock: u64,
    entries: HashMap<K, (u64, V)>,
    order: BTreeMap<u64, K>,
}

impl<K: Copy + Eq + Hash, V> Bounded<K, V> {
    /// An empty map for at most `most` entries, at least one.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            clock: 0,
            entries: HashMap::new(),
            order: BTreeMap::new(),
        }
    }

    /// The value of `key`, which counts as used now.
    pub(crate) fn get(&mut self, key: K) -> Option<&mut V> {
        let (used, value) = self.entries.get_mut(&key)?;
        self.order.remove(used);
        self.clock += 1;
        *used = self.clock;
        self.order.insert(self.clock, key);
        Some(value)
    }

    /// Sets the value of `key`.
    pub(crate) fn insert(&mut self, key: K, value: V) {
        self.remove(key);
        if self.entries.len() >= self.most
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.entries.remove(&oldest);
        }
        self.clock += 1;
        self.order.insert(self.clock, key);
        self.entries.insert(key, (self.clock, value));
    }

    /// Forgets `key`.
    pub(crate) fn remove(&mut self, key: K) -> Option<V> {
        let (used, value) = self.entries.remove(&key)?;
        self.order.remove(&used);
        Some(value)
    }

    /// Number of entries.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        assert_eq!(self.entries.len(), self.order.len());
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_used_is_forgotten_first() {
        let mut map = Bounded::new(2);
        map.insert(1, 'a');
        map.insert(2, 'b');
        assert_eq!(map.get(1), Some(&mut 'a'));
        map.insert(3, 'c');
        assert_eq!(map.get(2), None);
        assert_eq!(map.get(1), Some(&mut 'a'));
        assert_eq!(map.len(), 2);
        map.insert(1, 'd');
        assert_eq!(
            (map.remove(1), map.remove(1), map.len()),
            (Some('d'), None, 1)
        );
    }

    proptest::proptest! {
        #[test]
        fn it_never_holds_more_than_its_bound(keys in proptest::collection::vec(0_u8..20, 0..200)) {
            let mut map = Bounded::new(7);
            for key in keys {
                if key % 5 == 0 { map.remove(key); } else { map.insert(key, ()); }
                proptest::prop_assert!(map.len() <= 7);
            }
        }
    }
}
