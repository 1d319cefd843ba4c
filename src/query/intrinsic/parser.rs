//! Text to calls.

use serde_json::Number;
use serde_json::Value;

use crate::query::intrinsic::FUNCTIONS;
use crate::query::intrinsic::Intrinsic;
use crate::query::jsonpath::path::Path;

/// How deep calls may nest.
const NESTING_MAX: usize = 10;

/// A call without its text.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) function: &'static dyn Intrinsic,
    pub(super) arguments: Vec<Expression>,
}

/// A compiled argument.
#[derive(Clone, Debug)]
pub(super) enum Expression {
    /// A number, `null`, `true`, `false`, or a text with what stood between its quotes.
    Constant(Value, Option<Box<str>>),
    Path(Path),
    Call(Node),
}

/// Where the text stops making sense, as a byte offset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trouble(pub(super) usize);

type Parsed<T> = Result<T, Trouble>;

/// Reads a whole call.
pub(super) fn parse(text: &str) -> Parsed<Node> {
    let mut parser = Parser {
        text: text.trim_end(),
        at: 0,
    };
    parser.blanks();
    let node = parser.call(1)?;
    if parser.at < parser.text.len() {
        return Err(Trouble(parser.at));
    }
    Ok(node)
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Parser<'t> {
    fn call(&mut self, nesting: usize) -> Parsed<Node> {
        let start = self.at;
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
        let function = FUNCTIONS.iter().find(|function| function.name() == name);
        let Some(function) = function.filter(|_| nesting <= NESTING_MAX) else {
            return Err(Trouble(start));
        };
        self.blanks();
        self.expect('(')?;
        let mut arguments = Vec::new();
        self.blanks();
        if self.peek() != Some(')') {
            loop {
                self.blanks();
                arguments.push(self.argument(nesting)?);
                self.blanks();
                if self.peek() != Some(',') {
                    break;
                }
                self.at += 1;
            }
        }
        self.expect(')')?;
        if !function.arity().admits(arguments.len()) {
            return Err(Trouble(start));
        }
        Ok(Node {
            function: *function,
            arguments,
        })
    }

    fn argument(&mut self, nesting: usize) -> Parsed<Expression> {
        match self.peek() {
            Some('\'') => self.string(),
            Some('$') => self.path(),
            Some(c) if c == '-' || c.is_ascii_digit() => self.constant(),
            Some(_) => match self.rest().find(['(', ',', ')']) {
                Some(end) if self.rest()[end..].starts_with('(') => Ok(Expression::Call(self.call(nesting + 1)?)),
                _ => self.constant(),
            },
            None => Err(Trouble(self.at)),
        }
    }

    /// Reserved characters are escaped with a backslash; another escape is an error.
    fn string(&mut self) -> Parsed<Expression> {
        self.expect('\'')?;
        let start = self.at;
        let mut text = String::new();
        while let Some(c) = self.peek() {
            match c {
                '\'' => {
                    let raw = self.text.get(start..self.at).unwrap_or_default();
                    self.at += 1;
                    return Ok(Expression::Constant(Value::String(text), Some(raw.into())));
                }
                '\\' => {
                    self.at += 1;
                    match self.peek() {
                        Some(escaped @ ('\'' | '{' | '}' | '\\')) => text.push(escaped),
                        _ => return Err(Trouble(self.at)),
                    }
                    self.at += 1;
                }
                c => {
                    text.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
        Err(Trouble(self.at))
    }

    /// A path ends at a comma or parenthesis that is neither in brackets, parentheses nor quotes of its own.
    fn path(&mut self) -> Parsed<Expression> {
        let start = self.at;
        let mut open = 0usize;
        let mut quote = None;
        let mut is_escaped = false;
        while let Some(c) = self.peek() {
            match (quote, c) {
                _ if is_escaped => is_escaped = false,
                (_, '\\') => is_escaped = true,
                (Some(mark), c) if mark == c => quote = None,
                (Some(_), _) => {}
                (None, '\'' | '"') if open > 0 => quote = Some(c),
                (None, '(' | '[') => open += 1,
                (None, ',' | ')') if open == 0 => break,
                (None, ')' | ']') => open = open.saturating_sub(1),
                _ => {}
            }
            self.at += c.len_utf8();
        }
        let text = self.text.get(start..self.at).unwrap_or_default().trim_end();
        match Path::parse(text) {
            Ok(path) => Ok(Expression::Path(path)),
            Err(error) => Err(Trouble(start + error.offset.unwrap_or_default())),
        }
    }

    fn constant(&mut self) -> Parsed<Expression> {
        let start = self.at;
        let value = match self.take_while(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            word => match serde_json::from_str::<Number>(word) {
                Ok(number) => Value::Number(number),
                Err(_) => return Err(Trouble(start)),
            },
        };
        Ok(Expression::Constant(value, None))
    }

    fn blanks(&mut self) {
        self.take_while(char::is_whitespace);
    }

    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn expect(&mut self, c: char) -> Parsed<()> {
        if self.peek() == Some(c) {
            self.at += c.len_utf8();
            Ok(())
        } else {
            Err(Trouble(self.at))
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }
}
