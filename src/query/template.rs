//! Payload templates of both languages.

use serde_json::Map;
use serde_json::Value;

use crate::query::env::Env;
use crate::query::error::CompileError;
use crate::query::error::QueryError;
use crate::query::intrinsic::call::Call;
use crate::query::jsonata::expression::Expression;
use crate::query::jsonata::expression::FieldScope;
use crate::query::jsonpath::path::Path;
use crate::query::jsonpath::path::PathFailure;
use crate::query::jsonpath::path::Root;

/// A compiled payload template.
#[derive(Clone, Debug)]
pub struct Template {
    node: Node,
    variables: Vec<String>,
}

#[derive(Clone, Debug)]
enum Node {
    /// A tree without anything to evaluate.
    Constant(Value),
    Array(Vec<Self>),
    /// Members in the order of the result.
    Object(Vec<(Box<str>, Self)>),
    /// `field` is the key as written, with `.$`.
    Path {
        path: Path,
        field: Box<str>,
    },
    Call(Call),
    /// `location` is relative to the template: `/key[0]/sub`.
    Expression {
        expression: Expression,
        location: Box<str>,
    },
}

impl Template {
    /// Compiles a JSONPath payload template: keys ending `.$` hold a path or an intrinsic call.
    pub fn parse_jsonpath(template: &Value) -> Result<Self, Vec<CompileError>> {
        let mut compiler = Compiler::default();
        let node = compiler.jsonpath(template, "");
        compiler.finish(node)
    }

    /// Compiles a JSONata template: any JSON; strings `{% … %}` are expressions.
    pub fn parse_jsonata(template: &Value, scope: FieldScope) -> Result<Self, Vec<CompileError>> {
        let mut compiler = Compiler::default();
        let node = compiler.jsonata(template, scope, "");
        compiler.finish(node)
    }

    /// Evaluates; `field` is the state's field (`Parameters`, `Output`, `Choices[1]/Assign`): JSONata
    /// sentences name the leaf as `field/key[0]`.
    pub fn evaluate(&self, env: &Env<'_>, field: &str) -> Result<Value, QueryError> {
        self.node.evaluate(env, field)
    }

    /// The names of workflow variables read, without `$`, in order of first appearance.
    pub fn variables(&self) -> Vec<String> {
        self.variables.clone()
    }

    /// The single expression, when the template is one `{% … %}` string.
    pub fn as_expression(&self) -> Option<&Expression> {
        match &self.node {
            Node::Expression { expression, .. } => Some(expression),
            _ => None,
        }
    }

    /// What is known of the value before it is evaluated.
    pub fn sketch(&self) -> Sketch<'_> {
        self.node.sketch()
    }

    /// The value, when there is nothing to evaluate.
    pub fn as_constant(&self) -> Option<&Value> {
        match &self.node {
            Node::Constant(value) => Some(value),
            _ => None,
        }
    }
}

/// What is known of a template's value before it is evaluated.
#[derive(Clone, Debug)]
pub enum Sketch<'a> {
    /// A list of so many members.
    Array(Vec<Self>),
    /// What an intrinsic call gives.
    Call(&'a Call),
    /// What an expression gives.
    Expression(&'a Expression),
    /// All of it.
    Known(&'a Value),
    /// An object with these members.
    Object(Vec<(&'a str, Self)>),
    /// What a path selects.
    Path(&'a Path),
    /// Nothing.
    Unknown,
}

impl Node {
    fn sketch(&self) -> Sketch<'_> {
        match self {
            Self::Constant(value) => Sketch::Known(value),
            Self::Array(nodes) => Sketch::Array(nodes.iter().map(Self::sketch).collect()),
            Self::Object(nodes) => Sketch::Object(nodes.iter().map(|(key, node)| (&**key, node.sketch())).collect()),
            Self::Path { path, .. } => Sketch::Path(path),
            Self::Call(call) => Sketch::Call(call),
            Self::Expression { expression, .. } => Sketch::Expression(expression),
        }
    }

    fn evaluate(&self, env: &Env<'_>, template_field: &str) -> Result<Value, QueryError> {
        match self {
            Self::Constant(value) => Ok(value.clone()),
            Self::Array(nodes) => nodes.iter().map(|node| node.evaluate(env, template_field)).collect(),
            Self::Object(nodes) => {
                let mut members = Map::with_capacity(nodes.len());
                for (key, node) in nodes {
                    members.insert(String::from(&**key), node.evaluate(env, template_field)?);
                }
                Ok(Value::Object(members))
            }
            Self::Path { path, field } => match path.resolve(env) {
                Ok(found) => Ok(found.into_value()),
                // Recorded: `"k.$": "$.items[5]"` of a shorter array is null.
                Err(PathFailure::IndexOutOfBounds(_)) => Ok(Value::Null),
                Err(_) => Err(not_found(path, field, env)),
            },
            Self::Call(call) => call.evaluate(env),
            Self::Expression { expression, location } if location.is_empty() => {
                expression.evaluate(env, template_field)
            }
            Self::Expression { expression, location } => {
                expression.evaluate(env, &[template_field, &**location].concat())
            }
        }
    }
}

fn not_found(path: &Path, field: &str, env: &Env<'_>) -> QueryError {
    if let Some(sentence) = path.unassigned(env) {
        return QueryError::Runtime(sentence);
    }
    let input = match path.root() {
        Root::Context => env.context.get().value(),
        Root::Input | Root::Variable(_) => env.input.value(),
    };
    QueryError::Runtime(format!(
        "The JSONPath '{}' specified for the field '{field}' could not be found in the input '{input}'",
        path.text()
    ))
}

#[derive(Default)]
struct Compiler {
    variables: Vec<String>,
    errors: Vec<CompileError>,
}

impl Compiler {
    fn finish(self, node: Node) -> Result<Template, Vec<CompileError>> {
        if self.errors.is_empty() {
            Ok(Template {
                node,
                variables: self.variables,
            })
        } else {
            Err(self.errors)
        }
    }

    fn jsonpath(&mut self, template: &Value, location: &str) -> Node {
        match template {
            Value::Array(items) => {
                let nodes = items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| self.jsonpath(item, &format!("{location}[{index}]")))
                    .collect();
                array(nodes)
            }
            Value::Object(members) => {
                let mut literal = Vec::new();
                let mut dynamic = Vec::new();
                for (key, value) in members {
                    let name = match key.strip_suffix(".$") {
                        Some(name) => {
                            dynamic.push((Box::from(name), self.jsonpath_leaf(key, value, location)));
                            name
                        }
                        None => {
                            let node = self.jsonpath(value, &format!("{location}/{key}"));
                            literal.push((Box::from(key.as_str()), node));
                            key
                        }
                    };
                    // Only `k` together with `k.$` can meet: a key comes once.
                    if name.len() < key.len() && members.contains_key(name) {
                        self.refuse(format!("Duplicate field '{name}'"), location, None);
                    }
                }
                sort_like_java(&mut dynamic);
                literal.append(&mut dynamic);
                object(literal)
            }
            other => Node::Constant(other.clone()),
        }
    }

    fn jsonpath_leaf(&mut self, key: &str, value: &Value, location: &str) -> Node {
        let compiled = match value {
            Value::String(text) if text.starts_with('$') => Path::parse(text).map(|path| Node::Path {
                path,
                field: key.into(),
            }),
            Value::String(text) => Call::parse(text).map(Node::Call),
            _ => {
                self.refuse_leaf(key, location, None);
                return Node::Constant(Value::Null);
            }
        };
        match &compiled {
            Ok(Node::Path { path, .. }) => {
                if let Root::Variable(name) = path.root() {
                    self.mention(vec![name.to_string()]);
                }
            }
            Ok(Node::Call(call)) => self.mention(call.variables()),
            Ok(_) => {}
            Err(error) => self.refuse_leaf(key, location, error.offset),
        }
        compiled.unwrap_or(Node::Constant(Value::Null))
    }

    fn jsonata(&mut self, template: &Value, scope: FieldScope, location: &str) -> Node {
        match template {
            Value::String(text) if Expression::is_expression(text) => match Expression::parse(text, scope) {
                Ok(expression) => {
                    self.mention(expression.variables());
                    Node::Expression {
                        expression,
                        location: location.into(),
                    }
                }
                Err(errors) => {
                    for error in errors {
                        self.errors.push(CompileError {
                            location: format!("{location}{}", error.location),
                            ..error
                        });
                    }
                    Node::Constant(Value::Null)
                }
            },
            Value::String(text) if text.starts_with("{%") || text.ends_with("%}") => {
                self.refuse(
                    "A JSONata expression must start with '{%' and end with '%}'".to_owned(),
                    location,
                    None,
                );
                Node::Constant(Value::Null)
            }
            Value::Array(items) => {
                let nodes = items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| self.jsonata(item, scope, &format!("{location}[{index}]")))
                    .collect();
                array(nodes)
            }
            Value::Object(members) => {
                let nodes = members
                    .iter()
                    .map(|(key, value)| {
                        let node = self.jsonata(value, scope, &format!("{location}/{key}"));
                        (Box::from(key.as_str()), node)
                    })
                    .collect();
                object(nodes)
            }
            other => Node::Constant(other.clone()),
        }
    }

    fn mention(&mut self, names: Vec<String>) {
        for name in names {
            if !self.variables.contains(&name) {
                self.variables.push(name);
            }
        }
    }

    fn refuse_leaf(&mut self, key: &str, location: &str, offset: Option<usize>) {
        self.refuse(
            format!("The value for the field '{key}' must be a valid JSONPath or a valid intrinsic function call"),
            location,
            offset,
        );
        if let Some(error) = self.errors.last_mut() {
            error.key = Some(key.into());
        }
    }

    fn refuse(&mut self, message: String, location: &str, offset: Option<usize>) {
        self.errors.push(CompileError {
            key: None,
            code: "SCHEMA_VALIDATION_FAILED",
            message,
            location: location.to_owned(),
            offset,
        });
    }
}

/// Folds constants.
fn array(nodes: Vec<Node>) -> Node {
    if nodes.iter().any(|node| !matches!(node, Node::Constant(_))) {
        return Node::Array(nodes);
    }
    let items = nodes.into_iter().filter_map(|node| match node {
        Node::Constant(value) => Some(value),
        _ => None,
    });
    Node::Constant(items.collect())
}

/// Folds constants.
fn object(nodes: Vec<(Box<str>, Node)>) -> Node {
    if nodes.iter().any(|(_, node)| !matches!(node, Node::Constant(_))) {
        return Node::Object(nodes);
    }
    let members = nodes.into_iter().filter_map(|(key, node)| match node {
        Node::Constant(value) => Some((String::from(key), value)),
        _ => None,
    });
    Node::Constant(Value::Object(members.collect()))
}

/// Puts the members in the order in which a `java.util.HashMap` with these keys is read.
fn sort_like_java(members: &mut [(Box<str>, Node)]) {
    let mut table = 16usize;
    while members.len() * 4 > table * 3 {
        table *= 2;
    }
    members.sort_by_cached_key(|(name, _)| {
        let hash = name
            .encode_utf16()
            .fold(0u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()));
        (hash ^ (hash >> 16)) as usize & (table - 1)
    });
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use serde_json::json;

    use super::*;
    use crate::model::entropy::Entropy;
    use crate::model::payload::Payload;
    use crate::query::env::Context;
    use crate::query::env::Variables;

    struct Two;

    impl Variables for Two {
        fn get(&self, name: &str) -> Option<Payload> {
            match name {
                "x" => Some(json!({"a": [7, 8]}).into()),
                "y" => Some(json!(2).into()),
                _ => None,
            }
        }
    }

    fn evaluate(template: &Template, input: Value) -> Result<Value, QueryError> {
        let make = |_| Payload::new(json!({"Execution": {"Id": "arn", "Input": {}}, "State": {"Name": "S"}}));
        let env = Env {
            input: input.into(),
            result: None,
            error_output: None,
            variables: &Two,
            context: &Context::new(&make),
            entropy: &RefCell::new(Entropy::new(1)),
        };
        template.evaluate(&env, "Parameters")
    }

    #[test]
    fn jsonpath_templates() {
        let input = json!({"n": 4, "items": [{"a": 1}, {"a": 2}], "s": "{}!"});
        for (template, expected) in [
            (json!({}), json!({})),
            (
                json!({"a": 1, "b": [1, {"c": "$.n"}]}),
                json!({"a": 1, "b": [1, {"c": "$.n"}]}),
            ),
            (json!({"n.$": "States.MathAdd($.n, 1)"}), json!({"n": 5})),
            (
                json!({"a": [{"b.$": "$.n"}, "$.n", [{"c.$": "$y"}]]}),
                json!({"a": [{"b": 4}, "$.n", [{"c": 2}]]}),
            ),
            (json!({"all.$": "$", "id.$": "$$.Execution.Id", "v.$": "$x.a[1]"}), {
                json!({"all": input, "id": "arn", "v": 8})
            }),
            (
                json!({"k.$": "$.items[5]", "l.$": "$.items[5].a"}),
                json!({"k": null, "l": null}),
            ),
            (json!({"k.$": "$.items[*].a"}), json!({"k": [1, 2]})),
            (json!({"k.$": "$.nope[*].a"}), json!({"k": []})),
            (json!({"k.$": "States.Format($.s, $x.a[0])"}), json!({"k": "7!"})),
        ] {
            let compiled = Template::parse_jsonpath(&template).unwrap();
            assert_eq!(evaluate(&compiled, input.clone()), Ok(expected), "{template}");
        }
    }

    #[test]
    fn what_is_missing_is_told() {
        for (template, expected) in [
            (
                json!({"value.$": "$.x"}),
                r#"The JSONPath '$.x' specified for the field 'value.$' could not be found in the input '{"other":1}'"#,
            ),
            (
                json!({"a": [{"value.$": "$.other.x.y"}]}),
                r#"The JSONPath '$.other.x.y' specified for the field 'value.$' could not be found in the input '{"other":1}'"#,
            ),
            (
                json!({"value.$": "$$.Execution.Input.no_such_jsonpath"}),
                r#"The JSONPath '$$.Execution.Input.no_such_jsonpath' specified for the field 'value.$' could not be found in the input '{"Execution":{"Id":"arn","Input":{}},"State":{"Name":"S"}}'"#,
            ),
            (
                json!({"value.$": "$z"}),
                "The variable '$z' has not been assigned a value",
            ),
            (
                json!({"value.$": "States.Format('{}', $.nope)"}),
                r#"The function 'States.Format('{}', $.nope)' had the following error: The JsonPath argument for the field '$.nope' could not be found in the input '{"other":1}'"#,
            ),
        ] {
            let compiled = Template::parse_jsonpath(&template).unwrap();
            let error = evaluate(&compiled, json!({"other": 1})).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn bad_leaves_are_refused_at_their_holder() {
        let sentence = |key: &str| {
            format!("The value for the field '{key}' must be a valid JSONPath or a valid intrinsic function call")
        };
        for (template, location, message) in [
            (json!({"k.$": 1}), "", sentence("k.$")),
            (json!({"k.$": {"a": 1}}), "", sentence("k.$")),
            (json!({"k.$": "text"}), "", sentence("k.$")),
            (json!({"k.$": ""}), "", sentence("k.$")),
            (json!({"k.$": "$."}), "", sentence("k.$")),
            (json!({"k.$": "States.Nope()"}), "", sentence("k.$")),
            (json!({"a": {"b": [{"k.$": "x"}]}}), "/a/b[0]", sentence("k.$")),
            (
                json!({"p.$": "States.StringToJson('{\"text\":\"An \\\"escaped\\\" one\"}')"}),
                "",
                sentence("p.$"),
            ),
            (json!({"a": 1, "a.$": "$.x"}), "", "Duplicate field 'a'".to_owned()),
        ] {
            let errors = Template::parse_jsonpath(&template).unwrap_err();
            assert_eq!(errors.len(), 1, "{template}");
            assert_eq!(errors[0].code, "SCHEMA_VALIDATION_FAILED");
            assert_eq!((errors[0].location.as_str(), &errors[0].message), (location, &message));
        }
    }

    #[test]
    fn members_come_in_the_recorded_order() {
        for (keys, expected) in [
            ("index.$ item.$", "item index"),
            ("execution.$ state.$ attempt.$ input.$", "execution input state attempt"),
            (
                "input.$ execution.$ state.$ definitionMarker",
                "definitionMarker input execution state",
            ),
            ("entered.$ marker", "marker entered"),
            ("revision data.$ context.$", "revision data context"),
            (
                "execution.$ state.$ machine.$ nested.$ array.$ partition.$ contains.$ range.$ unique.$ json.$ encoded.$ \
                 decoded.$ hash.$ split.$ merge.$ serialized.$",
                "execution range nested contains partition split array machine unique merge json decoded state hash \
                 encoded serialized",
            ),
            ("n.$ parentState.$", "n parentState"),
            ("value.$ seen.$", "value seen"),
            ("first.$ second.$", "first second"),
            ("index.$ value.$", "index value"),
        ] {
            let members = keys.split_whitespace().map(|key| (key.to_owned(), json!("$")));
            let template = Template::parse_jsonpath(&Value::Object(members.collect())).unwrap();
            let value = evaluate(&template, json!(1)).unwrap();
            let order: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(order.join(" "), expected);
        }
        let template =
            Template::parse_jsonpath(&json!({"index.$": "$", "o": {"index.$": "$", "item.$": "$"}, "item.$": "$"}));
        let value = evaluate(&template.unwrap(), json!(1)).unwrap();
        assert_eq!(value.to_string(), r#"{"o":{"item":1,"index":1},"item":1,"index":1}"#);
    }

    #[test]
    fn variables_are_listed_as_they_appear() {
        let template = json!({
            "b.$": "States.Format('{} {}', $outer, States.MathAdd($local.a, $x[0]))",
            "a": [{"z.$": "$x"}, {"y.$": "$last", "w.$": "$$.State"}],
        });
        let compiled = Template::parse_jsonpath(&template).unwrap();
        assert_eq!(compiled.variables(), ["outer", "local", "x", "last"]);
        assert!(compiled.as_expression().is_none());
    }

    #[test]
    fn jsonata_texts_without_expressions() {
        let template = json!({"a.$": "$.x", "b": [" {% 1 %} ", 1, null]});
        let compiled = Template::parse_jsonata(&template, FieldScope::Input).unwrap();
        assert_eq!(evaluate(&compiled, json!({})), Ok(template.clone()));
        assert_eq!(compiled.as_constant(), Some(&template));
        for (template, location) in [
            (json!("{% 1"), ""),
            (json!({"a": {"b": [0, "1 %}"]}}), "/a/b[1]"),
            (json!(["{%}"]), "[0]"),
        ] {
            let errors = Template::parse_jsonata(&template, FieldScope::Input).unwrap_err();
            assert_eq!(errors[0].location, location);
        }
    }
}
