//! Form-encoded text with nested brackets, `a[b][0][c]=v`, read into a tree (Rack's conventions, as Stripe reads it).
//!
//! Knows nothing of any parameter: `params` decides what the tree may hold.

use crate::error::ApiError;

/// A parsed parameter: a value, or named (or numbered) children.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    Leaf(String),
    Branch(Vec<(String, Node)>),
}

/// Names and values as they came, decoded.
pub(crate) fn pairs(encoded: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(encoded.as_bytes())
        .into_owned()
        .collect()
}

/// The tree of all pairs.
///
/// # Errors
/// A name with unbalanced brackets, or used both as a value and as an object.
pub(crate) fn tree(pairs: &[(String, String)]) -> Result<Node, ApiError> {
    let mut root = Vec::new();
    for (name, value) in pairs {
        let segments = segments(name).ok_or_else(|| {
            ApiError::invalid(format!("Invalid parameter name: {name}")).param(name)
        })?;
        insert(&mut root, &segments, value)
            .ok_or_else(|| ApiError::invalid(format!("Invalid hash: {name}")).param(name))?;
    }
    Ok(Node::Branch(root))
}

/// `a[b][]` as `["a", "b", ""]`.
fn segments(name: &str) -> Option<Vec<&str>> {
    let (head, tail) = name.split_at(name.find('[').unwrap_or(name.len()));
    if head.is_empty() {
        return None;
    }
    let mut all = vec![head];
    let mut rest = tail;
    while !rest.is_empty() {
        let (segment, after) = rest.strip_prefix('[')?.split_once(']')?;
        all.push(segment);
        rest = after;
    }
    Some(all)
}

fn insert(branch: &mut Vec<(String, Node)>, segments: &[&str], value: &str) -> Option<()> {
    let (first, rest) = segments.split_first()?;
    let key = if first.is_empty() {
        pushed_key(branch, rest)
    } else {
        (*first).to_owned()
    };
    let at = branch.iter().position(|(name, _)| *name == key);
    if rest.is_empty() {
        if at.is_some() {
            return None;
        }
        branch.push((key, Node::Leaf(value.to_owned())));
        return Some(());
    }
    let at = at.unwrap_or_else(|| {
        branch.push((key, Node::Branch(Vec::new())));
        branch.len() - 1
    });
    match &mut branch[at].1 {
        Node::Branch(children) => insert(children, rest, value),
        Node::Leaf(_) => None,
    }
}

/// Where `[]` points: a new element, or the last one as long as it does not yet have the next name.
fn pushed_key(branch: &[(String, Node)], rest: &[&str]) -> String {
    let fits_last = match (branch.last(), rest.first()) {
        (Some((_, Node::Branch(children))), Some(next)) => {
            children.iter().all(|(name, _)| name != next)
        }
        _ => false,
    };
    (if fits_last {
        branch.len() - 1
    } else {
        branch.len()
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(text: &str) -> Node {
        Node::Leaf(text.to_owned())
    }

    fn branch(children: &[(&str, Node)]) -> Node {
        Node::Branch(
            children
                .iter()
                .map(|(name, node)| ((*name).to_owned(), node.clone()))
                .collect(),
        )
    }

    #[test]
    fn brackets_nest_and_empty_brackets_append() {
        let parsed = tree(&pairs(
            "a[b][0][c]=1&a[b][1][c]=2&l[]=x&l[]=y%20z&o[][p]=1&o[][q]=2&o[][p]=3",
        ));
        let items = branch(&[
            ("0", branch(&[("c", leaf("1"))])),
            ("1", branch(&[("c", leaf("2"))])),
        ]);
        let expected = branch(&[
            ("a", branch(&[("b", items)])),
            ("l", branch(&[("0", leaf("x")), ("1", leaf("y z"))])),
            (
                "o",
                branch(&[
                    ("0", branch(&[("p", leaf("1")), ("q", leaf("2"))])),
                    ("1", branch(&[("p", leaf("3"))])),
                ]),
            ),
        ]);
        assert_eq!(parsed, Ok(expected));
    }

    #[test]
    fn a_name_used_twice_or_both_ways_is_refused() {
        for text in ["a=1&a=2", "a=1&a[b]=2", "a[b]=1&a=2", "a[b=1", "[a]=1"] {
            assert!(tree(&pairs(text)).is_err(), "{text}");
        }
    }
}
