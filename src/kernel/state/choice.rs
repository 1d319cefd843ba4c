//! Choice: the first rule that holds.

use std::cmp::Ordering;

use serde_json::Value;

use crate::asl::definition::Choice;
use crate::asl::definition::Comparison;
use crate::asl::definition::Condition;
use crate::asl::definition::Operand;
use crate::asl::definition::Order;
use crate::asl::definition::QueryLanguage;
use crate::asl::definition::State;
use crate::asl::definition::StringPattern;
use crate::asl::definition::Transition;
use crate::kernel::context::Extra;
use crate::kernel::context::with_env;
use crate::kernel::core::Cx;
use crate::kernel::event::Way;
use crate::kernel::failure::Failure;
use crate::kernel::frame::FrameId;
use crate::model::payload::Payload;
use crate::model::timestamp::Timestamp;
use crate::query::env::Env;
use crate::query::jsonata::expression::unexpected_type;
use crate::query::jsonpath::path::Path;

impl Cx<'_> {
    pub(super) fn choice(&mut self, frame: FrameId, state: &State, choice: &Choice) -> Result<(), Failure> {
        let raw = self.core.frame(frame).input.clone();
        let effective = self.apply_path(frame, &state.input_path, &raw)?;
        let extra = Extra::default();
        let chosen = with_env(self.definition, self.core, frame, effective.clone(), &extra, |env| {
            for (index, rule) in choice.rules.iter().enumerate() {
                if holds(&rule.condition, env, index)? {
                    return Ok(Some(index));
                }
            }
            Ok::<_, Failure>(None)
        })?;
        // A matching rule's own Assign and Output hold; the state's serve the Default alone (recorded).
        let (next, assign, output, prefix) = match chosen {
            Some(index) => {
                let rule = &choice.rules[index];
                (
                    rule.next,
                    rule.assign.as_ref(),
                    rule.output.as_ref(),
                    format!("Choices[{index}]/"),
                )
            }
            None => match choice.default {
                Some(next) => (next, state.assign.as_ref(), state.output.as_ref(), String::new()),
                None => {
                    let text = "Failed to transition out of the state. The state does not point to a next state.";
                    return Err(Failure::runtime(text));
                }
            },
        };
        let assigned = match assign {
            Some(_) => self.assign(frame, assign, effective.clone(), &extra, &format!("{prefix}Assign"))?,
            None => Vec::new(),
        };
        let output = match (state.language, output) {
            (QueryLanguage::JsonAta, Some(template)) => {
                self.evaluate(frame, template, raw.clone(), &extra, &format!("{prefix}Output"))?
            }
            _ => self.apply_path(frame, &state.output_path, &effective)?,
        };
        self.check_size(frame, &raw, &output)?;
        self.out
            .took(self.core.frame(frame).state, chosen.map_or(Way::Default, Way::Rule));
        self.leave(frame, output, assigned, Transition::Next(next));
        Ok(())
    }
}

/// Tells whether a condition holds. Nesting is bounded by the definition's reader.
fn holds(condition: &Condition, env: &Env<'_>, rule: usize) -> Result<bool, Failure> {
    match condition {
        Condition::And(all) => {
            for condition in all {
                if !holds(condition, env, rule)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Condition::Or(any) => {
            for condition in any {
                if holds(condition, env, rule)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Condition::Not(condition) => Ok(!holds(condition, env, rule)?),
        Condition::Literal(holds) => Ok(*holds),
        Condition::Expression(expression) => {
            let field = || format!("Choices[{rule}]/Condition");
            match expression.evaluate(env, &field())? {
                Value::Bool(holds) => Ok(holds),
                other => Err(unexpected_type(expression, &field(), "boolean", &other).into()),
            }
        }
        Condition::Compare { variable, comparison } => compare(variable, comparison, env),
    }
}

fn compare(variable: &Path, comparison: &Comparison, env: &Env<'_>) -> Result<bool, Failure> {
    let root = variable.root_payload(env);
    let found = root.as_ref().and_then(|root| variable.select(root.value()).ok());
    if let Comparison::IsPresent(want) = comparison {
        return Ok(found.is_some() == *want);
    }
    let Some(value) = found else {
        return Err(invalid(variable));
    };
    let value = value.as_ref();
    Ok(match comparison {
        Comparison::IsPresent(want) => *want,
        Comparison::IsNull(want) => value.is_null() == *want,
        Comparison::IsNumeric(want) => value.is_number() == *want,
        Comparison::IsString(want) => value.is_string() == *want,
        Comparison::IsBoolean(want) => value.is_boolean() == *want,
        Comparison::IsTimestamp(want) => timestamp(value).is_some() == *want,
        Comparison::StringMatches(pattern) => value.as_str().is_some_and(|text| matches(pattern, text)),
        Comparison::BooleanEquals(operand) => {
            let want = match operand {
                Operand::Literal(want) => Some(*want),
                Operand::Path(path) => other(path, env)?.value().as_bool(),
            };
            want.is_some() && value.as_bool() == want
        }
        Comparison::Numeric(order, operand) => {
            let want = match operand {
                Operand::Literal(want) => Some(*want),
                Operand::Path(path) => other(path, env)?.value().as_f64(),
            };
            ordered(*order, value.as_f64().zip(want).and_then(|(a, b)| a.partial_cmp(&b)))
        }
        Comparison::Timestamp(order, operand) => {
            let want = match operand {
                Operand::Literal(want) => Some(*want),
                Operand::Path(path) => timestamp(other(path, env)?.value()),
            };
            ordered(*order, timestamp(value).zip(want).map(|(a, b)| a.cmp(&b)))
        }
        Comparison::String(order, operand) => match operand {
            Operand::Literal(want) => ordered(*order, value.as_str().map(|text| java_order(text, want))),
            Operand::Path(path) => {
                let want = other(path, env)?;
                ordered(
                    *order,
                    value.as_str().zip(want.value().as_str()).map(|(a, b)| java_order(a, b)),
                )
            }
        },
    })
}

fn other(path: &Path, env: &Env<'_>) -> Result<Payload, Failure> {
    path.find(env).map_err(|_| invalid(path))
}

fn invalid(path: &Path) -> Failure {
    Failure::runtime(format!(
        "Invalid path '{}': The choice state's condition path references an invalid value.",
        path.text()
    ))
}

fn timestamp(value: &Value) -> Option<Timestamp> {
    value.as_str().and_then(Timestamp::parse_rfc3339)
}

/// A comparison of unlike types is false, never an error (recorded).
fn ordered(order: Order, found: Option<Ordering>) -> bool {
    match (order, found) {
        (_, None) => false,
        (Order::Equals, Some(found)) => found == Ordering::Equal,
        (Order::LessThan, Some(found)) => found == Ordering::Less,
        (Order::LessThanEquals, Some(found)) => found != Ordering::Greater,
        (Order::GreaterThan, Some(found)) => found == Ordering::Greater,
        (Order::GreaterThanEquals, Some(found)) => found != Ordering::Less,
    }
}

/// By UTF-16 code unit, as Java's `compareTo`.
fn java_order(a: &str, b: &str) -> Ordering {
    a.encode_utf16().cmp(b.encode_utf16())
}

/// Tells whether `text` is the pieces in order with anything between them.
fn matches(pattern: &StringPattern, text: &str) -> bool {
    let pieces = &pattern.0;
    match pieces.as_slice() {
        [] => text.is_empty(),
        [only] => text == only,
        [first, middle @ .., last] => {
            let Some(mut rest) = text.strip_prefix(first.as_str()) else {
                return false;
            };
            for piece in middle {
                match rest.find(piece.as_str()) {
                    Some(at) => rest = &rest[at + piece.len()..],
                    None => return false,
                }
            }
            rest.len() >= last.len() && rest.ends_with(last.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_piece_by_piece() {
        let pattern = |pieces: &[&str]| StringPattern(pieces.iter().map(|piece| (*piece).to_owned()).collect());
        for (pieces, text, expected) in [
            (&["log-", ".txt"][..], "log-1.txt", true),
            (&["log-", ".txt"], "log-.txt", true),
            (&["ab", "b"], "ab", false),
            (&["", ""], "", true),
            (&["a", "b", "c"], "axxbyyc", true),
            (&["a", "b", "c"], "axxyyc", false),
            (&["a*"], "a*", true),
        ] {
            assert_eq!(matches(&pattern(pieces), text), expected, "{pieces:?} {text}");
        }
    }

    #[test]
    fn strings_order_by_utf16_unit() {
        assert_eq!(java_order("AB", "A"), Ordering::Greater);
        assert_eq!(java_order("\u{1F600}", "\u{FFFD}"), Ordering::Less);
    }
}
