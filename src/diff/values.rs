//! Compares values member by member.

use serde_json::Value;

use crate::diff::change::What;

/// Compares two values and adds what is different, with the way to it.
pub(super) fn compare(field: &str, old: Option<&Value>, new: Option<&Value>, found: &mut Vec<What>) {
    let mut open = vec![(field.to_owned(), old, new)];
    while let Some((field, old, new)) = open.pop() {
        if old == new {
            continue;
        }
        match (old, new) {
            (Some(Value::Object(olds)), Some(Value::Object(news))) => {
                let gone = olds.keys().filter(|key| !news.contains_key(*key));
                let keys: Vec<&String> = news.keys().chain(gone).collect();
                let members = keys.into_iter().rev();
                open.extend(members.map(|key| (member(&field, key), olds.get(key), news.get(key))));
            }
            (Some(Value::Array(olds)), Some(Value::Array(news))) => {
                if let Some(before) = reordered(olds, news) {
                    found.push(What::Order { field, before });
                    continue;
                }
                let pairs = aligned(olds, news).into_iter().rev();
                open.extend(pairs.map(|(old, new)| {
                    let index = old.or(new).unwrap_or(0);
                    let old = old.and_then(|index| olds.get(index));
                    (
                        format!("{field}[{}]", new.unwrap_or(index)),
                        old,
                        new.and_then(|index| news.get(index)),
                    )
                }));
            }
            _ => found.push(What::Field {
                field,
                old: old.cloned(),
                new: new.cloned(),
            }),
        }
    }
}

fn member(field: &str, key: &str) -> String {
    if field.is_empty() {
        key.to_owned()
    } else {
        format!("{field}.{key}")
    }
}

/// Longer lists are not looked through for what moved within them.
const REORDERED_MAX: usize = 200;

/// Returns where each entry was before, if the lists hold the same.
fn reordered(olds: &[Value], news: &[Value]) -> Option<Vec<usize>> {
    if olds.len() != news.len() || REORDERED_MAX < olds.len() {
        return None;
    }
    let mut left: Vec<Option<&Value>> = olds.iter().map(Some).collect();
    let place = |new: &Value| {
        let index = left.iter().position(|old| *old == Some(new))?;
        left[index] = None;
        Some(index)
    };
    news.iter().map(place).collect()
}

/// Pairs the entries of two lists that may differ: what both begin and end with is the same, what stands between is paired
/// in order. An entry without a partner has come or gone.
pub(super) fn aligned<T: PartialEq>(olds: &[T], news: &[T]) -> Vec<(Option<usize>, Option<usize>)> {
    let n_first = olds.iter().zip(news).take_while(|(old, new)| old == new).count();
    let rest = olds[n_first..].iter().rev().zip(news[n_first..].iter().rev());
    let n_last = rest.take_while(|(old, new)| old == new).count();
    let (old_end, new_end) = (olds.len() - n_last, news.len() - n_last);
    (0..old_end.max(new_end).saturating_sub(n_first))
        .map(|by| n_first + by)
        .map(|index| {
            (
                Some(index).filter(|index| *index < old_end),
                Some(index).filter(|index| *index < new_end),
            )
        })
        .collect()
}
