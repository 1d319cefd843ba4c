//! Text to steps.

use regex::RegexBuilder;
use serde_json::Map;
use serde_json::Number;
use serde_json::Value;

use crate::query::jsonpath::filter::Operand;
use crate::query::jsonpath::filter::Operator;
use crate::query::jsonpath::filter::SYMBOLS;
use crate::query::jsonpath::filter::Test;
use crate::query::jsonpath::filter::WORDS;
use crate::query::jsonpath::function::Function;
use crate::query::jsonpath::function::Kind;
use crate::query::jsonpath::function::Parameter;
use crate::query::jsonpath::path::Root;
use crate::query::jsonpath::step::Quote;
use crate::query::jsonpath::step::Step;
use crate::query::jsonpath::step::Steps;

/// How deep filters, groups, literals and parameters may nest.
const NESTING_MAX: usize = 100;
/// How many functions one path may hold: selecting recurses once for each.
const FUNCTIONS_MAX: usize = 16;

/// Where the text stops making sense, as a byte offset.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trouble(pub(super) usize);

type Parsed<T> = Result<T, Trouble>;

/// Where a path stands: in a filter or a parameter list it ends earlier than alone.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Alone,
    Inside,
}

/// Reads a whole path.
pub(super) fn parse(text: &str) -> Parsed<(Root, Steps)> {
    let mut parser = Parser {
        text: text.trim_end(),
        at: 0,
        nesting: 0,
    };
    let root = parser.root()?;
    let steps = parser.steps(Place::Alone)?;
    if parser.at < parser.text.len() {
        return parser.fail();
    }
    Ok((root, steps))
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    nesting: usize,
}

impl<'t> Parser<'t> {
    fn root(&mut self) -> Parsed<Root> {
        self.expect('$')?;
        if self.eat("$") {
            return Ok(Root::Context);
        }
        let start = self.at;
        while let Some(c) = self.peek() {
            let fits = if self.at == start {
                c == '_' || unicode_ident::is_xid_start(c)
            } else {
                unicode_ident::is_xid_continue(c)
            };
            if !fits {
                break;
            }
            self.at += c.len_utf8();
        }
        match self.text.get(start..self.at) {
            Some(name) if !name.is_empty() => Ok(Root::Variable(name.into())),
            _ => Ok(Root::Input),
        }
    }

    fn steps(&mut self, place: Place) -> Parsed<Steps> {
        let mut list = Vec::new();
        loop {
            if self.eat("..") {
                list.push(Step::Scan);
                if self.peek() == Some('[') {
                    list.push(self.bracket()?);
                } else {
                    list.push(self.dotted(place)?);
                }
            } else if self.eat(".") {
                if self.peek() == Some('[') {
                    list.push(self.bracket()?);
                } else {
                    list.push(self.dotted(place)?);
                }
            } else if self.peek() == Some('[') {
                list.push(self.bracket()?);
            } else {
                break;
            }
        }
        let functions = list.iter().filter(|step| matches!(step, Step::Function(_))).count();
        if functions > FUNCTIONS_MAX {
            return self.fail();
        }
        Ok(Steps::new(list))
    }

    /// A name, `*` or a function behind a dot.
    fn dotted(&mut self, place: Place) -> Parsed<Step> {
        if self.peek() == Some('*') {
            self.at += 1;
            return Ok(Step::Wildcard);
        }
        let mut name = String::new();
        let mut is_escaped = false;
        while let Some(c) = self.peek() {
            match c {
                '.' | '[' => break,
                '(' if !is_escaped => return self.function(&name),
                '(' | ')' | ']' if place == Place::Alone => return self.fail(),
                c if place == Place::Inside && (c.is_whitespace() || "()],=<>!~&|".contains(c)) => break,
                // Jayway asks for brackets around such names.
                ' ' => return self.fail(),
                c if c.is_control() => return self.fail(),
                '\\' => {
                    self.at += 1;
                    is_escaped = true;
                    match self.peek() {
                        Some(escaped) => {
                            name.push(escaped);
                            self.at += escaped.len_utf8();
                        }
                        None => return self.fail(),
                    }
                }
                c => {
                    name.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
        if name.is_empty() {
            return self.fail();
        }
        Ok(Step::Name(name.into(), Quote::Single))
    }

    fn function(&mut self, name: &str) -> Parsed<Step> {
        let Some(kind) = Kind::of(name) else {
            return self.fail();
        };
        self.expect('(')?;
        let mut parameters = Vec::new();
        self.blanks();
        if self.eat(")") {
            return Ok(Step::Function(Function { kind, parameters }));
        }
        self.nested(|parser| {
            loop {
                parser.blanks();
                // Jayway reads over anything else: `'x'`, `true`.
                parser.skip_until(|c| c.is_ascii_digit() || "{\"-$@,)".contains(c));
                if !matches!(parser.peek(), Some(',' | ')')) {
                    parameters.push(match parser.operand()? {
                        Operand::Root(steps) | Operand::Current(steps) => Parameter::Root(steps),
                        Operand::Literal(value) => Parameter::Literal(value),
                        Operand::Pattern(_) => return parser.fail(),
                    });
                    parser.blanks();
                }
                if !parser.eat(",") {
                    return parser.expect(')');
                }
            }
        })?;
        Ok(Step::Function(Function { kind, parameters }))
    }

    fn bracket(&mut self) -> Parsed<Step> {
        self.expect('[')?;
        self.blanks();
        let step = match self.peek() {
            Some('\'') => self.names(Quote::Single)?,
            Some('"') => self.names(Quote::Double)?,
            Some('*') => {
                self.at += 1;
                Step::Wildcard
            }
            Some('?') => {
                self.at += 1;
                self.blanks();
                self.expect('(')?;
                let test = self.nested(Self::any)?;
                self.blanks();
                self.expect(')')?;
                Step::Filter(Box::new(test))
            }
            _ => self.places()?,
        };
        self.blanks();
        self.expect(']')?;
        Ok(step)
    }

    /// `'a'`, `'a','b'`: one kind of quotes.
    fn names(&mut self, quote: Quote) -> Parsed<Step> {
        let mut names = vec![self.quoted()?.into_boxed_str()];
        self.blanks();
        while self.eat(",") {
            self.blanks();
            if self.peek() != Some(quote.mark()) {
                return self.fail();
            }
            names.push(self.quoted()?.into_boxed_str());
            self.blanks();
        }
        Ok(match <[Box<str>; 1]>::try_from(names) {
            Ok([name]) => Step::Name(name, quote),
            Err(names) => Step::Names(names.into(), quote),
        })
    }

    /// `0`, `0,2`, `1:5`, `1:`, `:1`; Jayway reads over what follows a second colon.
    fn places(&mut self) -> Parsed<Step> {
        let first = self.place()?;
        self.blanks();
        if self.eat(":") {
            self.blanks();
            let last = self.place()?;
            if first.is_none() && last.is_none() {
                return self.fail();
            }
            if self.eat(":") {
                self.place()?;
            }
            return Ok(Step::Slice(first, last));
        }
        let Some(first) = first else {
            return self.fail();
        };
        let mut places = vec![first];
        while self.eat(",") {
            self.blanks();
            match self.place()? {
                Some(place) => places.push(place),
                None => return self.fail(),
            }
            self.blanks();
        }
        match <[i64; 1]>::try_from(places) {
            Ok([place]) => Ok(Step::Index(place)),
            Err(places) => Ok(Step::Indexes(places.into())),
        }
    }

    fn place(&mut self) -> Parsed<Option<i64>> {
        let start = self.at;
        self.eat("-");
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        match self.text.get(start..self.at) {
            None | Some("") => Ok(None),
            // Java's int.
            Some(digits) => match digits.parse::<i32>() {
                Ok(place) => Ok(Some(place.into())),
                Err(_) => Err(Trouble(start)),
            },
        }
    }

    /// A text in single or double quotes.
    ///
    /// A backslash hides the quote or another backslash and is an ordinary character otherwise: AWS finds the
    /// member `a\"` with `['a\"']`.
    fn quoted(&mut self) -> Parsed<String> {
        let Some(quote @ ('\'' | '"')) = self.peek() else {
            return self.fail();
        };
        self.at += 1;
        let mut text = String::new();
        while let Some(c) = self.peek() {
            self.at += c.len_utf8();
            if c == quote {
                return Ok(text);
            }
            match (c, self.peek()) {
                ('\\', Some(hidden)) if hidden == quote || hidden == '\\' => {
                    text.push(hidden);
                    self.at += 1;
                }
                _ => text.push(c),
            }
        }
        self.fail()
    }

    fn any(&mut self) -> Parsed<Test> {
        let mut tests = vec![self.all()?];
        loop {
            self.blanks();
            if !self.eat("||") {
                break;
            }
            tests.push(self.all()?);
        }
        Ok(match <[Test; 1]>::try_from(tests) {
            Ok([test]) => test,
            Err(tests) => Test::Any(tests),
        })
    }

    fn all(&mut self) -> Parsed<Test> {
        let mut tests = vec![self.test()?];
        loop {
            self.blanks();
            if !self.eat("&&") {
                break;
            }
            tests.push(self.test()?);
        }
        Ok(match <[Test; 1]>::try_from(tests) {
            Ok([test]) => test,
            Err(tests) => Test::All(tests),
        })
    }

    fn test(&mut self) -> Parsed<Test> {
        self.blanks();
        if self.eat("!") {
            let test = self.nested(Self::test)?;
            return Ok(Test::Not(Box::new(test)));
        }
        if self.eat("(") {
            let test = self.nested(Self::any)?;
            self.blanks();
            self.expect(')')?;
            return Ok(test);
        }
        let start = self.at;
        let left = self.operand()?;
        self.blanks();
        let Some(operator) = self.operator() else {
            return match left {
                Operand::Root(_) | Operand::Current(_) => Ok(Test::Exists(left)),
                _ => Err(Trouble(start)),
            };
        };
        self.blanks();
        let right = self.operand()?;
        Ok(Test::Compare(left, operator, right))
    }

    fn operator(&mut self) -> Option<Operator> {
        for (symbol, operator) in SYMBOLS {
            if self.eat(symbol) {
                return Some(operator);
            }
        }
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let word = rest.get(..end)?;
        let (_, operator) = WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word))?;
        self.at += end;
        Some(*operator)
    }

    fn operand(&mut self) -> Parsed<Operand> {
        match self.peek() {
            Some('$') => {
                self.at += 1;
                Ok(Operand::Root(self.nested(|parser| parser.steps(Place::Inside))?))
            }
            Some('@') => {
                self.at += 1;
                Ok(Operand::Current(self.nested(|parser| parser.steps(Place::Inside))?))
            }
            Some('/') => self.pattern(),
            _ => Ok(Operand::Literal(self.literal()?)),
        }
    }

    fn pattern(&mut self) -> Parsed<Operand> {
        let start = self.at;
        self.expect('/')?;
        let mut source = String::new();
        loop {
            let Some(c) = self.peek() else {
                return self.fail();
            };
            self.at += c.len_utf8();
            match (c, self.peek()) {
                ('/', _) => break,
                ('\\', Some('/')) => {
                    source.push('/');
                    self.at += 1;
                }
                ('\\', Some(next)) => {
                    source.push('\\');
                    source.push(next);
                    self.at += next.len_utf8();
                }
                _ => source.push(c),
            }
        }
        let mut builder = RegexBuilder::new(&format!(r"\A(?:{source})\z"));
        while let Some(flag) = self.peek() {
            match flag {
                'i' => builder.case_insensitive(true),
                'm' => builder.multi_line(true),
                's' => builder.dot_matches_new_line(true),
                'x' => builder.ignore_whitespace(true),
                'u' | 'U' | 'd' => &mut builder,
                _ => break,
            };
            self.at += 1;
        }
        builder.build().map(Operand::Pattern).map_err(|_| Trouble(start))
    }

    /// JSON, with single quotes allowed too.
    fn literal(&mut self) -> Parsed<Value> {
        match self.peek() {
            Some('\'' | '"') => Ok(Value::String(self.quoted()?)),
            Some('[') => {
                self.at += 1;
                self.nested(|parser| {
                    let mut items = Vec::new();
                    loop {
                        parser.blanks();
                        if items.is_empty() && parser.eat("]") {
                            return Ok(Value::Array(items));
                        }
                        items.push(parser.literal()?);
                        parser.blanks();
                        if !parser.eat(",") {
                            parser.expect(']')?;
                            return Ok(Value::Array(items));
                        }
                    }
                })
            }
            Some('{') => {
                self.at += 1;
                self.nested(|parser| {
                    let mut members = Map::new();
                    loop {
                        parser.blanks();
                        if members.is_empty() && parser.eat("}") {
                            return Ok(Value::Object(members));
                        }
                        let name = parser.quoted()?;
                        parser.blanks();
                        parser.expect(':')?;
                        parser.blanks();
                        let value = parser.literal()?;
                        members.insert(name, value);
                        parser.blanks();
                        if !parser.eat(",") {
                            parser.expect('}')?;
                            return Ok(Value::Object(members));
                        }
                    }
                })
            }
            _ => self.word(),
        }
    }

    /// A number, `true`, `false`, `null`, or a text without quotes: published state machines use it.
    fn word(&mut self) -> Parsed<Value> {
        let rest = self.rest();
        let end = rest
            .find(|c: char| !c.is_ascii_alphanumeric() && !"+-._".contains(c))
            .unwrap_or(rest.len());
        let value = match rest.get(..end) {
            Some("true") => Value::Bool(true),
            Some("false") => Value::Bool(false),
            Some("null") => Value::Null,
            Some(word) => match serde_json::from_str::<Number>(word) {
                Ok(number) => Value::Number(number),
                Err(_) if word.starts_with(|c: char| c.is_ascii_alphabetic()) => Value::String(word.to_owned()),
                Err(_) => return self.fail(),
            },
            None => return self.fail(),
        };
        self.at += end;
        Ok(value)
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.nesting == NESTING_MAX {
            return self.fail();
        }
        self.nesting += 1;
        let result = read(self);
        self.nesting -= 1;
        result
    }

    fn blanks(&mut self) {
        self.skip_until(|c| !c.is_whitespace());
    }

    fn skip_until(&mut self, stops: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(stops).unwrap_or(rest.len());
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn expect(&mut self, c: char) -> Parsed<()> {
        if self.peek() == Some(c) {
            self.at += c.len_utf8();
            Ok(())
        } else {
            self.fail()
        }
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn fail<T>(&self) -> Parsed<T> {
        Err(Trouble(self.at))
    }
}
