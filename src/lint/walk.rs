//! Ways through a definition as it is written.

use crate::asl::definition::Task;
use crate::asl::node::Kind;
use crate::asl::node::Member;
use crate::asl::node::Node;
use crate::lint::subject::Written;
use crate::model::span::Span;

/// Fields of a state that hold other states.
const BLOCKS: &[&str] = &["Branches", "ItemProcessor", "Iterator"];

/// A value and the key that it stands under; an element of a list has the list's key.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Value<'a> {
    pub(crate) key: &'a str,
    pub(crate) node: &'a Node,
}

/// Returns all values in `node`, itself included, in no certain order.
pub(crate) fn values<'a>(node: &'a Node) -> impl Iterator<Item = Value<'a>> {
    walk(vec![Value { key: "", node }])
}

/// Returns all values of a state, without the states inside it.
pub(crate) fn own_values<'a>(state: &Written<'a>) -> impl Iterator<Item = Value<'a>> + use<'a> {
    let own = state.node.members().iter();
    let own = own.filter(|member| !BLOCKS.contains(&member.key.as_str()));
    let own = own.map(|member| Value {
        key: &member.key,
        node: &member.value,
    });
    walk(own.collect())
}

fn walk<'a>(mut queue: Vec<Value<'a>>) -> impl Iterator<Item = Value<'a>> {
    std::iter::from_fn(move || {
        let value = queue.pop()?;
        let members = value.node.members().iter();
        queue.extend(members.map(|member| Value {
            key: &member.key,
            node: &member.value,
        }));
        let elements = value.node.elements().iter();
        queue.extend(elements.map(|node| Value { key: value.key, node }));
        Some(value)
    })
}

/// Spells the place of a value within a state as AWS does: `/States/A/Parameters/Entries[0]/Detail`.
pub(crate) fn place(state: &Written<'_>, target: &Node) -> String {
    place_from(state.location.clone(), state.node, target)
}

/// Spells the place of a value within the whole definition.
pub(crate) fn place_of(root: &Node, target: &Node) -> String {
    place_from(String::new(), root, target)
}

fn place_from(mut location: String, mut node: &Node, target: &Node) -> String {
    loop {
        let member = around(node.members(), target, |member| &member.value);
        let element = around(node.elements(), target, |element| element);
        let member = member.map(|index| &node.members()[index]);
        let element = element.map(|index| (index, &node.elements()[index]));
        node = match (member, element) {
            (Some(member), _) => {
                location = format!("{location}/{}", member.key);
                &member.value
            }
            (None, Some((index, element))) => {
                location = format!("{location}[{index}]");
                element
            }
            (None, None) => return location,
        };
    }
}

/// Returns the index of the part that a value stands in.
fn around<T>(parts: &[T], target: &Node, node: fn(&T) -> &Node) -> Option<usize> {
    let behind = parts.partition_point(|part| node(part).span.start <= target.span.start);
    let is_around = |index: &usize| parts.get(*index).is_some_and(|part| is_within(target, node(part)));
    // What filled a placeholder or came from an alias does not stand in order.
    let fast = behind.checked_sub(1).filter(is_around);
    fast.or_else(|| (0..parts.len()).find(is_around))
}

fn is_within(inner: &Node, outer: &Node) -> bool {
    outer.span.start <= inner.span.start && inner.span.end <= outer.span.end
}

/// Returns the place of the letters of a text or key as it is written: within its quotes, if it has some. `None`: it is
/// written otherwise, with escapes or placeholders.
pub(crate) fn letters(written: Span, text: &str) -> Option<Span> {
    let length = u32::try_from(text.len()).ok()?;
    let Span {
        line,
        column,
        start,
        end,
    } = written;
    match end - start - length.min(end - start) {
        0 => Some(written).filter(|_| end - start == length),
        2 => Some(Span {
            line,
            column: column + 1,
            start: start + 1,
            end: end - 1,
        }),
        _ => None,
    }
}

/// Returns what a Task is called with, when the definition shows its members.
pub(crate) fn arguments<'a>(state: &Written<'a>) -> Option<&'a Node> {
    let node = state.node.get("Parameters").or_else(|| state.node.get("Arguments"))?;
    matches!(node.kind, Kind::Object(_)).then_some(node)
}

/// Returns a member under its name or, computed, under its name with `.$`.
pub(crate) fn member<'a>(object: &'a Node, name: &str) -> Option<&'a Member> {
    let members = object.members().iter();
    let mut members = members.filter(|member| bare(&member.key) == name);
    members.next()
}

/// Returns a key without the `.$` of a computed value.
pub(crate) fn bare(key: &str) -> &str {
    key.strip_suffix(".$").unwrap_or(key)
}

/// Returns a text that stands in the definition as it is: no expression, no path, no open placeholder.
pub(crate) fn literal<'a>(key: &str, node: &'a Node) -> Option<&'a str> {
    let Kind::String(text) = &node.kind else { return None };
    // Templates of other tools, such as `${f[0].arn}`, are no placeholders here, but no final texts either.
    let is_computed = key.ends_with(".$") || text.trim_start().starts_with("{%") || text.contains("${");
    (!is_computed).then_some(text)
}

/// Returns the literal text of a member.
pub(crate) fn literal_member<'a>(object: &'a Node, name: &str) -> Option<&'a str> {
    let member = member(object, name)?;
    literal(&member.key, &member.value)
}

/// Tells whether a Task's `Resource` is known as far as it matters: it is an ARN, filled or not.
pub(crate) fn has_known_resource(task: &Task) -> bool {
    task.resource.arn.starts_with("arn:")
}
