//! The 39 comparison operators of a Choice rule.

use std::sync::Arc;

use crate::asl::compile::fields::Object;
use crate::asl::compile::machine::Compiler;
use crate::asl::definition::Comparison;
use crate::asl::definition::Operand;
use crate::asl::definition::Order;
use crate::asl::definition::StringPattern;
use crate::asl::node::Kind;
use crate::model::timestamp::Timestamp;

/// The families that know an order.
#[derive(Clone, Copy)]
enum Family {
    Numeric,
    String,
    Timestamp,
}

/// A comparison operator's name, taken apart.
enum Operator {
    BooleanEquals { is_path: bool },
    Is(fn(bool) -> Comparison),
    Ordered(Family, Order, bool),
    StringMatches,
}

/// Tells whether this is the name of a comparison operator.
pub(super) fn is_operator(name: &str) -> bool {
    operator(name).is_some()
}

fn operator(name: &str) -> Option<Operator> {
    Some(match name {
        "BooleanEquals" => Operator::BooleanEquals { is_path: false },
        "BooleanEqualsPath" => Operator::BooleanEquals { is_path: true },
        "IsBoolean" => Operator::Is(Comparison::IsBoolean),
        "IsNull" => Operator::Is(Comparison::IsNull),
        "IsNumeric" => Operator::Is(Comparison::IsNumeric),
        "IsPresent" => Operator::Is(Comparison::IsPresent),
        "IsString" => Operator::Is(Comparison::IsString),
        "IsTimestamp" => Operator::Is(Comparison::IsTimestamp),
        "StringMatches" => Operator::StringMatches,
        _ => {
            let (plain, is_path) = name.strip_suffix("Path").map_or((name, false), |plain| (plain, true));
            let (family, order) = if let Some(order) = plain.strip_prefix("Numeric") {
                (Family::Numeric, order)
            } else if let Some(order) = plain.strip_prefix("String") {
                (Family::String, order)
            } else {
                (Family::Timestamp, plain.strip_prefix("Timestamp")?)
            };
            let order = match order {
                "Equals" => Order::Equals,
                "GreaterThan" => Order::GreaterThan,
                "GreaterThanEquals" => Order::GreaterThanEquals,
                "LessThan" => Order::LessThan,
                "LessThanEquals" => Order::LessThanEquals,
                _ => return None,
            };
            Operator::Ordered(family, order, is_path)
        }
    })
}

impl<'n> Compiler<'n, '_> {
    /// Reads the operator `name` of a rule.
    pub(super) fn comparison(&mut self, rule: &Object<'n>, name: &str) -> Option<Comparison> {
        match operator(name)? {
            Operator::BooleanEquals { is_path: true } => self
                .path(rule, name)
                .map(|path| Comparison::BooleanEquals(Operand::Path(path))),
            Operator::BooleanEquals { is_path: false } => self
                .boolean(rule, name)
                .map(|value| Comparison::BooleanEquals(Operand::Literal(value))),
            Operator::Is(make) => self.boolean(rule, name).map(make),
            Operator::StringMatches => {
                let text = self.string(rule, name)?;
                let pattern = pattern(text);
                if pattern.is_none() {
                    self.refuse_field(
                        rule,
                        name,
                        "Value is not a valid pattern: only '\\*' and '\\\\' are escapes",
                    );
                }
                pattern.map(Comparison::StringMatches)
            }
            Operator::Ordered(family, order, true) => {
                let path = self.path(rule, name)?;
                Some(match family {
                    Family::Numeric => Comparison::Numeric(order, Operand::Path(path)),
                    Family::String => Comparison::String(order, Operand::Path(path)),
                    Family::Timestamp => Comparison::Timestamp(order, Operand::Path(path)),
                })
            }
            Operator::Ordered(family, order, false) => self.literal_operand(rule, name, family, order),
        }
    }

    fn literal_operand(&mut self, rule: &Object<'n>, name: &str, family: Family, order: Order) -> Option<Comparison> {
        let node = rule.get(name)?;
        match family {
            Family::Numeric => match &node.kind {
                Kind::Number(number) => Some(Comparison::Numeric(order, Operand::Literal(number.as_f64()?))),
                Kind::Open(_) => Some(Comparison::Numeric(order, Operand::Literal(0.0))),
                _ => {
                    self.wrong_type(&rule.at(name), node, "NUMBER");
                    None
                }
            },
            Family::String => {
                let text = self.string(rule, name)?;
                Some(Comparison::String(order, Operand::Literal(Arc::from(text))))
            }
            Family::Timestamp => {
                let text = self.string(rule, name)?;
                let instant = Timestamp::parse_rfc3339(text).or_else(|| node.is_open().then_some(Timestamp(0)));
                if instant.is_none() {
                    self.refuse_field(rule, name, "String does not match RFC3339 timestamp");
                }
                instant.map(|instant| Comparison::Timestamp(order, Operand::Literal(instant)))
            }
        }
    }
}

/// Splits at every `*` and resolves the escapes `\*` and `\\`; `None` for any other escape.
fn pattern(text: &str) -> Option<StringPattern> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => pieces.push(std::mem::take(&mut piece)),
            '\\' => match chars.next()? {
                escaped @ ('*' | '\\') => piece.push(escaped),
                _ => return None,
            },
            _ => piece.push(c),
        }
    }
    pieces.push(piece);
    Some(StringPattern(pieces))
}

#[cfg(test)]
fn names() -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for family in ["Numeric", "String", "Timestamp"] {
        for order in [
            "Equals",
            "GreaterThan",
            "GreaterThanEquals",
            "LessThan",
            "LessThanEquals",
        ] {
            names.push(format!("{family}{order}"));
            names.push(format!("{family}{order}Path"));
        }
    }
    for name in [
        "IsBoolean",
        "IsNull",
        "IsNumeric",
        "IsPresent",
        "IsString",
        "IsTimestamp",
    ] {
        names.push(name.to_owned());
    }
    for name in ["BooleanEquals", "BooleanEqualsPath", "StringMatches"] {
        names.push(name.to_owned());
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_39_operators() {
        let names = names();
        assert_eq!(names.len(), 39);
        assert!(names.iter().all(|name| is_operator(name)));
        for name in [
            "StringMatchesPath",
            "IsNullPath",
            "Equals",
            "StringEqualsPathPath",
            "Path",
            "",
        ] {
            assert!(!is_operator(name), "{name}");
        }
    }

    #[test]
    fn patterns_are_split_at_stars() {
        for (text, expected) in [
            ("a*b", Some(vec!["a", "b"])),
            ("*", Some(vec!["", ""])),
            ("", Some(vec![""])),
            (r"a\*b\\", Some(vec![r"a*b\"])),
            (r"a\", None),
            (r"\n", None),
        ] {
            let pieces = pattern(text).map(|pattern| pattern.0);
            let expected = expected.map(|pieces| pieces.into_iter().map(str::to_owned).collect());
            assert_eq!(pieces, expected, "{text}");
        }
    }
}
