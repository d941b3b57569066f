//! The objects, by kind and id, in the order they were made. Holds JSON; knows no rule about any of it.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::doc::Doc;

/// All objects of one kind, oldest first.
#[derive(Debug, Default)]
struct Table {
    rows: Vec<Value>,
    by_id: HashMap<String, usize>,
}

/// Every object of the simulated account. A deleted object stays, marked `deleted`.
#[derive(Debug, Default)]
pub(crate) struct Store {
    tables: BTreeMap<String, Table>,
}

impl Store {
    /// Puts an object in, or in the place of the one with the same id.
    pub(crate) fn put(&mut self, object: Value) {
        let table = self
            .tables
            .entry(object.text("object").to_owned())
            .or_default();
        match table.by_id.get(object.text("id")) {
            Some(at) => table.rows[*at] = object,
            None => {
                table.by_id.insert(object.id(), table.rows.len());
                table.rows.push(object);
            }
        }
    }

    /// The object, deleted or not.
    pub(crate) fn find(&self, kind: &str, id: &str) -> Option<&Value> {
        let table = self.tables.get(kind)?;
        table.by_id.get(id).map(|at| &table.rows[*at])
    }

    /// The object of whatever kind under this id.
    pub(crate) fn find_any(&self, id: &str) -> Option<&Value> {
        self.tables.keys().find_map(|kind| self.find(kind, id))
    }

    /// Every object of a kind that is not deleted, oldest first.
    pub(crate) fn all(&self, kind: &str) -> impl DoubleEndedIterator<Item = &Value> {
        self.tables
            .get(kind)
            .map_or(&[] as &[Value], |table| &table.rows)
            .iter()
            .filter(|object| !object.flag("deleted"))
    }

    /// How many objects of each kind live and how many are deleted.
    pub(crate) fn counts(&self) -> BTreeMap<String, (usize, usize)> {
        let count = |(kind, table): (&String, &Table)| {
            let deleted = table
                .rows
                .iter()
                .filter(|object| object.flag("deleted"))
                .count();
            (kind.clone(), (table.rows.len() - deleted, deleted))
        };
        self.tables.iter().map(count).collect()
    }
}
