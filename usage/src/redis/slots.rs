//! The slots of a Redis Cluster: which one a customer's counters are in, and who holds which. Pure.

use std::ops::RangeInclusive;

use redis::Value;

use super::url::Node;

/// As many as every cluster has.
pub(super) const SLOTS: u16 = 16384;

/// Slots in a row.
pub(super) type Slots = RangeInclusive<u16>;

/// The slot of all keys whose hash tag is `tag`: CRC-16/XMODEM modulo 16384, as the cluster specification says.
pub(super) fn slot_of(tag: &str) -> u16 {
    let crc = tag.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 }
        })
    });
    crc % SLOTS
}

/// A hash tag of one of `slots`.
pub(super) fn tag_in(slots: &[Slots]) -> Option<String> {
    if slots.is_empty() {
        return None;
    }
    let mut tags = (0_u32..1 << 20).map(|n| n.to_string());
    tags.find(|tag| slots.iter().any(|slots| slots.contains(&slot_of(tag))))
}

/// The answer to `CLUSTER SLOTS` of the node `asked`: slots, and the master that holds them. `None` when it is none.
pub(super) fn masters(answer: &Value, asked: &Node) -> Option<Vec<(Slots, Node)>> {
    let Value::Array(entries) = answer else {
        return None;
    };
    let entries = entries.iter().map(|entry| match entry {
        Value::Array(words) => match &words[..] {
            [
                Value::Int(first),
                Value::Int(last),
                Value::Array(master),
                ..,
            ] => {
                let slots = u16::try_from(*first).ok()?..=u16::try_from(*last).ok()?;
                (*slots.end() < SLOTS && !slots.is_empty())
                    .then_some((slots, master_of(master, asked)?))
            }
            _ => None,
        },
        _ => None,
    });
    entries.collect()
}

fn master_of(words: &[Value], asked: &Node) -> Option<Node> {
    let [host, Value::Int(port), ..] = words else {
        return None;
    };
    let host = match host {
        Value::BulkString(host) => std::str::from_utf8(host).ok()?,
        Value::SimpleString(host) => host,
        Value::Nil => "",
        _ => return None,
    };
    Node::of(host, u16::try_from(*port).ok()?, asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(host: &str, port: u16) -> Node {
        Node {
            host: host.to_owned(),
            port,
        }
    }

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(slot_of("123456789"), 0x31C3);
        assert_eq!((slot_of("foo"), slot_of("")), (12182, 0));
    }

    #[test]
    fn every_slot_has_a_tag() {
        for slot in [0, 1, 7777, SLOTS - 1] {
            assert_eq!(slot_of(&tag_in(&[slot..=slot]).unwrap()), slot);
        }
        assert_eq!(tag_in(&[]), None);
    }

    #[test]
    fn the_masters_are_read_and_one_without_a_host_is_where_it_was_asked() {
        let server = |host, port| Value::Array(vec![host, Value::Int(port)]);
        let host = |host: &str| Value::BulkString(host.as_bytes().to_vec());
        let entry = |slots: (i64, i64), servers: Vec<Value>| {
            let mut words = vec![Value::Int(slots.0), Value::Int(slots.1)];
            words.extend(servers);
            Value::Array(words)
        };
        let answer = Value::Array(vec![
            entry(
                (0, 99),
                vec![server(host("a"), 1), server(host("replica"), 2)],
            ),
            entry((100, 16383), vec![server(Value::Nil, 3)]),
        ]);
        let expected = vec![(0..=99, node("a", 1)), (100..=16383, node("asked", 3))];
        assert_eq!(masters(&answer, &node("asked", 9)), Some(expected));
        for wrong in [
            Value::Okay,
            Value::Array(vec![entry((0, 16384), vec![server(host("a"), 1)])]),
            Value::Array(vec![entry((0, 1), vec![])]),
            Value::Array(vec![entry((0, 1), vec![server(host("a"), 0)])]),
        ] {
            assert_eq!(masters(&wrong, &node("asked", 9)), None, "{wrong:?}");
        }
    }
}
