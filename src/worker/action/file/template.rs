//! `file.template`: a file made from a template and values.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use minijinja::Environment;
use minijinja::ErrorKind;
use minijinja::UndefinedBehavior;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::value::ValueKind;
use serde::Deserialize;
use serde_json::Value;

use crate::model::states_error::StatesError;
use crate::worker::action;
use crate::worker::action::facts::ErrorName;
use crate::worker::action::facts::Facts;
use crate::worker::action::facts::Kind;
use crate::worker::action::facts::Parameter;
use crate::worker::action::facts::Secrets;
use crate::worker::action::file::existing::Existing;
use crate::worker::action::file::fault;
use crate::worker::action::file::fault::NOT_FOUND;
use crate::worker::action::file::fault::TOO_LARGE;
use crate::worker::action::file::fault::fault;
use crate::worker::action::file::fault::of_system;
use crate::worker::action::file::off_thread::Stop;
use crate::worker::action::file::ownership;
use crate::worker::action::file::ownership::Ownership;
use crate::worker::action::file::place::Place;
use crate::worker::action::file::put;
use crate::worker::action::file::put::Content;
use crate::worker::action::file::put::Put;
use crate::worker::action::file::put::Wanted;

/// The largest template and the largest file made from one.
const TEXT_BYTES_MAX: usize = 16 << 20;
/// How many steps a template may take: loops in loops end.
const FUEL: u64 = 10_000_000;

/// The template is none, or does not fit the values.
const TEMPLATE_FAILED: ErrorName = ErrorName::lasting(
    "File.TemplateFailed",
    "The template cannot be read, uses a name that `Values` lacks, or takes too many steps. The cause says what and in \
     which line.",
);

static FACTS: Facts = Facts {
    name: "file.template",
    summary: "Writes a file made from a template.",
    details: "Templates are in the language of Jinja2: `{{ name }}`, `{% if … %}`, `{% for x in list %}`, filters such as \
              `| join(\", \")`. A name that is not in `Values` is an error, never an empty text. Nothing is escaped, \
              what is no text is written as JSON, and a template cannot read other files. The new file is on the disk before it takes the old one's name; hard \
              links to the old one, its ACLs and its extended attributes stay behind with it.",
    parameters: &[
        put::PATH,
        Parameter::optional("Template", Kind::AnyText, "The template."),
        Parameter::optional("TemplateFile", Kind::Path, "A file that holds the template."),
        Parameter::optional("Values", Kind::Json, "An object: what the template's names stand for.")
            .with(Secrets::Texts),
        ownership::MODE,
        ownership::OWNER,
        ownership::GROUP,
    ],
    one_of: &[&["Template", "TemplateFile"]],
    result: put::RESULT,
    errors: &[
        fault::CHANGED_MEANWHILE,
        fault::FAILED,
        fault::INVALID_PARAMETERS,
        fault::IS_DIRECTORY,
        fault::IS_SYMLINK,
        fault::NO_SPACE,
        fault::NOT_A_DIRECTORY,
        fault::NOT_FOUND,
        fault::NOT_REGULAR,
        fault::PERMISSION_DENIED,
        fault::READ_ONLY,
        TEMPLATE_FAILED,
        fault::TOO_LARGE,
        fault::UNKNOWN_OWNER,
    ],
    undo: Some(put::UNDO),
    example: r#"{ "Path": "/etc/app.conf", "Template": "port = {{ port }}\n", "Values": { "port.$": "$.port" } }"#,
};

/// The action.
pub const TEMPLATE: Put = Put {
    facts: &FACTS,
    reads: |parameters| parameters["TemplateFile"].as_str(),
    wanted,
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameters {
    template: Option<String>,
    template_file: Option<String>,
    values: Option<BTreeMap<String, Value>>,
    #[serde(flatten)]
    ownership: Ownership,
}

fn wanted(parameters: &Value, _: &Place, existing: Option<&Existing>, _: &Stop) -> Result<Wanted, StatesError> {
    if !matches!(parameters["Values"], Value::Object(_) | Value::Null) {
        let sentence = "`Values` of file.template must be an object.";
        return Err(fault(&fault::INVALID_PARAMETERS, sentence));
    }
    let parameters: Parameters = action::read(parameters)?;
    let template = match (parameters.template, &parameters.template_file) {
        (Some(template), _) => template,
        (None, path) => read_template(Path::new(path.as_deref().unwrap_or_default()))?,
    };
    let content = render(&template, &parameters.values.unwrap_or_default())?;
    Ok(Wanted {
        content: Content::Bytes(content),
        owned: parameters.ownership.wanted(existing, put::MODE_OF_NEW)?,
    })
}

fn read_template(path: &Path) -> Result<String, StatesError> {
    let Some(file) = Place::find(path)?.open()? else {
        let sentence = format!("`TemplateFile` of file.template is not there: `{}`.", path.display());
        return Err(fault(&NOT_FOUND, sentence));
    };
    let content = read_bounded(file, path)?;
    String::from_utf8(content).map_err(|_| fault(&TEMPLATE_FAILED, format!("`{}` is not UTF-8.", path.display())))
}

/// Reads a file that is worked on in memory.
///
/// # Errors
/// `File.TooLarge`: it has more than 16 MiB; or it cannot be read.
pub(super) fn read_bounded(file: impl io::Read, path: &Path) -> Result<Vec<u8>, StatesError> {
    let mut content = Vec::new();
    let mut bounded = file.take(TEXT_BYTES_MAX as u64 + 1);
    io::Read::read_to_end(&mut bounded, &mut content).map_err(|error| of_system(error, path, "read"))?;
    match content.len() <= TEXT_BYTES_MAX {
        true => Ok(content),
        false => Err(fault(
            &TOO_LARGE,
            format!("`{}` has more than {TEXT_BYTES_MAX} bytes.", path.display()),
        )),
    }
}

/// Takes so many bytes and no more.
#[derive(Default)]
struct Bounded {
    content: Vec<u8>,
    is_full: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if TEXT_BYTES_MAX < self.content.len() + bytes.len() {
            self.is_full = true;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.content.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn render(template: &str, values: &BTreeMap<String, Value>) -> Result<Vec<u8>, StatesError> {
    let failed = |error: minijinja::Error| {
        let line = error.line().map(|line| format!(" in line {line}")).unwrap_or_default();
        let detail = error.detail().map(|detail| format!(": {detail}")).unwrap_or_default();
        let sentence = match error.kind() {
            ErrorKind::UndefinedError => {
                format!("The template uses a name{line} that `Values` of file.template lacks{detail}.")
            }
            ErrorKind::OutOfFuel => "The template takes too many steps.".to_owned(),
            kind => format!("The template of file.template cannot be used{line}: {kind}{detail}."),
        };
        fault(&TEMPLATE_FAILED, sentence)
    };
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
    environment.set_syntax(syntax.map_err(failed)?);
    environment.set_formatter(|output, state, value| match value.kind() {
        ValueKind::Bool | ValueKind::None | ValueKind::Map | ValueKind::Seq => {
            let json = serde_json::to_string(value)
                .map_err(|error| minijinja::Error::new(ErrorKind::BadSerialization, error.to_string()))?;
            output.write_str(&json).map_err(minijinja::Error::from)
        }
        _ => minijinja::escape_formatter(output, state, value),
    });
    environment.set_fuel(Some(FUEL));
    let template = environment
        .template_from_named_str("template", template)
        .map_err(failed)?;
    let mut bounded = Bounded::default();
    let rendered = template.render_captured_to(Serde(values), &mut bounded).map(|_| ());
    if bounded.is_full {
        let sentence = format!("The template makes more than {TEXT_BYTES_MAX} bytes.");
        return Err(fault(&TOO_LARGE, sentence));
    }
    rendered.map_err(failed)?;
    Ok(bounded.content)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::worker::action::file::testing::Files;

    #[test]
    fn a_template_is_strict_and_bounded() {
        let values = json!({ "name": "<a>", "list": [1, 2], "o": { "a": null }, "text": "x".repeat(100_000) });
        for (template, expected) in [
            ("{{ name }}\n", Ok("<a>\n")),
            ("no names\r\n\n", Ok("no names\r\n\n")),
            ("{% for x in list %}{{ x }};{% endfor %}", Ok("1;2;")),
            ("{{ list | join(', ') }} {{ o.a }}", Ok("1, 2 null")),
            ("{{ o }} {{ list }} {{ true }}", Ok("{\"a\":null} [1,2] true")),
            ("{{ absent | default('d') }}", Ok("d")),
            ("a\n{{ absent }}", Err("uses a name in line 2 that `Values`")),
            ("{{ o.b }}", Err("uses a name")),
            ("{% if absent %}x{% endif %}", Err("uses a name")),
            ("{{ name ", Err("cannot be used in line 1: syntax error")),
            ("{% include '/etc/passwd' %}", Err("cannot be used")),
            ("{{ name | nothing }}", Err("cannot be used in line 1: unknown filter")),
            (
                "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
                Err("too many steps"),
            ),
            (
                "{% for a in range(9999) %}{{ text }}{% endfor %}",
                Err("makes more than 16777216 bytes"),
            ),
        ] {
            let values = serde_json::from_value(values.clone()).unwrap();
            match (render(template, &values), expected) {
                (Ok(content), Ok(text)) => assert_eq!(String::from_utf8(content).unwrap(), text, "{template}"),
                (Err(error), Err(part)) => {
                    let cause = error.cause.unwrap_or_default();
                    assert!(cause.contains(part), "{template}: {cause}");
                }
                (got, _) => panic!("{template}: {got:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_template_of_a_file_is_written_once_and_undone() {
        let mut files = Files::new();
        std::fs::write(files.at("template"), "{{ a }}{{ b }}\n").unwrap();
        let mut parameters = json!({ "Path": files.at("file"), "TemplateFile": files.at("template"),
            "Values": { "a": 1, "b": true } });
        let done = files.run("file.template", &parameters).await.unwrap();
        assert_eq!(files.read("file"), "1true\n");
        let again = files.run("file.template", &parameters).await.unwrap();
        assert_eq!(again["Changed"], json!(false));
        for values in [json!({ "a": 1 }), json!([1])] {
            parameters["Values"] = values;
            files.run("file.template", &parameters).await.unwrap_err();
            assert_eq!(files.read("file"), "1true\n");
        }
        files.undo_twice(&done).await;
        assert!(!files.at("file").exists());
    }
}
