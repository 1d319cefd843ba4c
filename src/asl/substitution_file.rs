//! Values for placeholders, out of a plain file of values or a SAM or CloudFormation template.

use std::collections::BTreeMap;

use crate::asl::diagnostic::Diagnostic;
use crate::asl::node::Kind;
use crate::asl::node::Member;
use crate::asl::node::Node;
use crate::asl::substitute;
use crate::asl::text;
use crate::asl::yaml;

pub(crate) const STATE_MACHINE_TYPES: [&str; 2] = ["AWS::Serverless::StateMachine", "AWS::StepFunctions::StateMachine"];
/// What a template says about the place it is deployed to.
const PSEUDO_PARAMETERS: [(&str, &str); 6] = [
    ("AWS::AccountId", "123456789012"),
    ("AWS::Partition", "aws"),
    ("AWS::Region", "us-east-1"),
    (
        "AWS::StackId",
        "arn:aws:cloudformation:us-east-1:123456789012:stack/local/0",
    ),
    ("AWS::StackName", "local"),
    ("AWS::URLSuffix", "amazonaws.com"),
];

/// Returns the names of the placeholders `${Name}` in a text, in order.
pub fn placeholders(text: &str) -> Vec<&str> {
    let found = text.match_indices("${");
    found
        .filter_map(|(at, _)| substitute::placeholder_at(text, at))
        .map(|(name, _)| name)
        .collect()
}

/// Reads values for placeholders.
///
/// A text with `Resources` is a SAM or CloudFormation template: the `DefinitionSubstitutions` of its state
/// machines count, and references become plausible ARNs. Any other text is an object of name and value.
///
/// # Errors
/// The text is neither JSON nor YAML, or is not an object.
pub fn substitutions_from(text: &str) -> Result<BTreeMap<String, String>, Diagnostic> {
    let root = match text::parse(text) {
        Ok(root) => root,
        Err(finding) if text.trim_start().starts_with('{') => return Err(finding),
        Err(_) => yaml::read(text, |tag, node| Ok(function(tag, node)))?,
    };
    if !matches!(root.kind, Kind::Object(_)) {
        return Err(Diagnostic {
            code: "INVALID_SUBSTITUTION",
            message: "The values must be an object of name and value".to_owned(),
            location: None,
            span: Some(root.span),
        });
    }
    let mut values = BTreeMap::new();
    let Some(resources) = root.get("Resources") else {
        for member in root.members() {
            values.insert(member.key.clone(), shown(&member.value));
        }
        return Ok(values);
    };
    let template = Template { root: &root, resources };
    for resource in resources.members() {
        let is_machine = resource
            .value
            .get("Type")
            .and_then(Node::text)
            .is_some_and(|kind| STATE_MACHINE_TYPES.contains(&kind));
        let substitutions = resource
            .value
            .get("Properties")
            .and_then(|properties| properties.get("DefinitionSubstitutions"));
        if let (true, Some(substitutions)) = (is_machine, substitutions) {
            for member in substitutions.members() {
                values.insert(member.key.clone(), template.resolve(&member.value));
            }
        }
    }
    Ok(values)
}

/// Writes the short form `!Ref x` as the long one, `{"Ref": x}`.
pub(crate) fn function(tag: &str, node: Node) -> Node {
    let name = tag.trim_start_matches('!');
    let key = match name {
        "Condition" | "Ref" => name.to_owned(),
        _ => format!("Fn::{name}"),
    };
    let span = node.span;
    Node {
        span,
        kind: Kind::Object(vec![Member {
            key,
            key_span: span,
            value: node,
        }]),
    }
}

pub(crate) fn shown(node: &Node) -> String {
    match &node.kind {
        Kind::Placeholder(name) => format!("${{{name}}}"),
        Kind::String(text) => text.clone(),
        _ => node.to_value().to_string(),
    }
}

struct Template<'n> {
    root: &'n Node,
    resources: &'n Node,
}

impl Template<'_> {
    /// Resolves a value. Functions nest no deeper than the text does.
    fn resolve(&self, node: &Node) -> String {
        let [Member { key, value, .. }] = node.members() else {
            return shown(node);
        };
        match key.as_str() {
            "Ref" => self.reference(&shown(value)),
            "Fn::GetAtt" => {
                let path = match value.elements() {
                    [] => shown(value),
                    elements => elements.iter().map(shown).collect::<Vec<_>>().join("."),
                };
                self.attribute(&path)
            }
            "Fn::Join" => match value.elements() {
                [separator, list] => {
                    let pieces: Vec<String> = list.elements().iter().map(|piece| self.resolve(piece)).collect();
                    pieces.join(&shown(separator))
                }
                _ => shown(node),
            },
            "Fn::Sub" => match value.elements() {
                [text, own] => self.fill(&shown(text), Some(own)),
                _ => self.fill(&shown(value), None),
            },
            "Fn::If" => value
                .elements()
                .get(1)
                .map_or_else(|| shown(node), |then| self.resolve(then)),
            "Fn::ImportValue" => self.resolve(value),
            _ => shown(node),
        }
    }

    fn fill(&self, text: &str, own: Option<&Node>) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut from = 0;
        while let Some(found) = text.get(from..).and_then(|rest| rest.find("${")) {
            let at = from + found;
            filled.push_str(text.get(from..at).unwrap_or_default());
            match substitute::placeholder_at(text, at) {
                Some((name, end)) => {
                    filled.push_str(&match own.and_then(|own| own.get(name)) {
                        Some(value) => self.resolve(value),
                        None if name.contains('.') => self.attribute(name),
                        None => self.reference(name),
                    });
                    from = end;
                }
                None => {
                    filled.push_str("${");
                    from = at + 2;
                }
            }
        }
        filled.push_str(text.get(from..).unwrap_or_default());
        filled
    }

    /// What `Ref` gives: a parameter's default, or a resource's name or ARN.
    fn reference(&self, name: &str) -> String {
        if let Some((_, value)) = PSEUDO_PARAMETERS.iter().find(|(known, _)| *known == name) {
            return (*value).to_owned();
        }
        let parameter = self.root.get("Parameters").and_then(|parameters| parameters.get(name));
        if let Some(default) = parameter.and_then(|parameter| parameter.get("Default")) {
            return shown(default);
        }
        match self.resource_type(name) {
            "AWS::Serverless::StateMachine"
            | "AWS::StepFunctions::StateMachine"
            | "AWS::StepFunctions::Activity"
            | "AWS::SNS::Topic" => self.arn(name),
            "AWS::SQS::Queue" => format!("https://sqs.us-east-1.amazonaws.com/123456789012/{name}"),
            _ => name.to_owned(),
        }
    }

    /// What `GetAtt` gives.
    fn attribute(&self, path: &str) -> String {
        let (name, attribute) = path.split_once('.').unwrap_or((path, "Arn"));
        if attribute.ends_with("Arn") {
            return self.arn(name);
        }
        if attribute.ends_with("Url") {
            return format!("https://sqs.us-east-1.amazonaws.com/123456789012/{name}");
        }
        name.to_owned()
    }

    fn arn(&self, name: &str) -> String {
        let resource_type = self.resource_type(name);
        let service = resource_type.split("::").nth(1).unwrap_or("lambda").to_lowercase();
        match resource_type {
            "AWS::Serverless::StateMachine" | "AWS::StepFunctions::StateMachine" => {
                format!("arn:aws:states:us-east-1:123456789012:stateMachine:{name}")
            }
            "AWS::StepFunctions::Activity" => format!("arn:aws:states:us-east-1:123456789012:activity:{name}"),
            "AWS::DynamoDB::Table" | "AWS::Serverless::SimpleTable" => {
                format!("arn:aws:dynamodb:us-east-1:123456789012:table/{name}")
            }
            "AWS::IAM::Role" => format!("arn:aws:iam::123456789012:role/{name}"),
            "AWS::S3::Bucket" => format!("arn:aws:s3:::{}", name.to_lowercase()),
            "AWS::SNS::Topic" | "AWS::SQS::Queue" => format!("arn:aws:{service}:us-east-1:123456789012:{name}"),
            "" | "AWS::Lambda::Function" | "AWS::Serverless::Function" => {
                format!("arn:aws:lambda:us-east-1:123456789012:function:{name}")
            }
            _ => format!("arn:aws:{service}:us-east-1:123456789012:{name}"),
        }
    }

    fn resource_type(&self, name: &str) -> &str {
        self.resources
            .get(name)
            .and_then(|resource| resource.get("Type"))
            .and_then(Node::text)
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown_values(text: &str) -> String {
        match substitutions_from(text) {
            Ok(values) => values.iter().map(|(name, value)| format!("{name}={value}\n")).collect(),
            Err(finding) => finding.to_string(),
        }
    }

    #[test]
    fn a_plain_file_gives_its_values() {
        assert_eq!(shown_values(r#"{"A":"x","B":7,"C":true}"#), "A=x\nB=7\nC=true\n");
        assert_eq!(shown_values("A: x\nB: 7\n"), "A=x\nB=7\n");
        assert_eq!(
            shown_values("- a"),
            "INVALID_SUBSTITUTION: The values must be an object of name and value at null"
        );
        assert!(shown_values("{\"a\"").starts_with("INVALID_JSON_DESCRIPTION: "));
    }

    #[test]
    fn a_sam_template_gives_the_substitutions_of_its_machines() {
        let template = "\
Parameters:
  Stage: {Type: String, Default: dev}
Resources:
  Worker: {Type: 'AWS::Serverless::Function'}
  Rows: {Type: 'AWS::DynamoDB::Table'}
  Mail: {Type: 'AWS::SQS::Queue'}
  Other: {Type: 'AWS::Lambda::Function', Properties: {DefinitionSubstitutions: {No: 1}}}
  Machine:
    Type: AWS::Serverless::StateMachine
    Properties:
      DefinitionSubstitutions:
        WorkerArn: !GetAtt Worker.Arn
        WorkerName: !Ref Worker
        Table: !Ref Rows
        Queue: !Ref Mail
        QueueArn: !GetAtt [Mail, Arn]
        Name: !Sub '${AWS::StackName}-${Stage}-${Worker.Arn}'
        Own: !Sub ['${x}/${AWS::Region}', {x: !Ref Stage}]
        Joined: !Join ['-', [a, !Ref Stage]]
        Seconds: 5
";
        assert_eq!(
            shown_values(template),
            "\
Joined=a-dev
Name=local-dev-arn:aws:lambda:us-east-1:123456789012:function:Worker
Own=dev/us-east-1
Queue=https://sqs.us-east-1.amazonaws.com/123456789012/Mail
QueueArn=arn:aws:sqs:us-east-1:123456789012:Mail
Seconds=5
Table=Rows
WorkerArn=arn:aws:lambda:us-east-1:123456789012:function:Worker
WorkerName=Worker
"
        );
    }
}
