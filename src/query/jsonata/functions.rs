//! The functions that Step Functions adds to JSONata, and those that it changes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::GeneralPurpose;
use base64::engine::GeneralPurposeConfig;
use jlens_core::Bindings;
use jlens_core::Error;
use jlens_core::HostFunction;
use md5::Digest;
use serde_json::Value;

use crate::model::entropy::Entropy;
use crate::model::entropy::JavaRandom;
use crate::query::jsonata::limits;
use crate::query::jsonata::result;

/// Functions that always give the same for the same arguments.
const PURE: [(&str, &str, Implementation); 6] = [
    ("base64decode", "<s-:s>", base64decode),
    ("hash", "<ss:s>", hash),
    ("pad", "<s-ns?:s>", pad),
    ("parse", "<s:x>", parse),
    ("partition", "<an:a>", partition),
    ("range", "<nnn:x>", range),
];

/// Built-in functions that neither the engine's clock nor its bounds stop. Each stands behind a lambda that asks a
/// function of ours first whether the call is bearable; the built-in one itself is then named `$__NAME`.
const GUARDED: [(&str, &str, Implementation); 2] = [
    (
        "distinct",
        "function($x)<x:x>{($__distinct_fits($x); $__distinct($x))}",
        distinct_fits,
    ),
    (
        "replace",
        "function($s, $p, $r, $n)<s-(sf)(sf)n?:s>{($__replace_fits($s, $p, $r, $n); $__replace($s, $p, $r, $n))}",
        replace_fits,
    ),
];

/// The most work of `$distinct`, in comparisons of short values.
const COMPARISONS: usize = 100_000_000;

/// Functions that draw from the execution's chance.
const DRAWING: [&str; 2] = ["random", "uuid"];

/// The most characters that `$pad` may add.
const PADDING: usize = 262_144;

type Given = [Option<Value>];
type Implementation = fn(&Given) -> Result<Option<Value>, Error>;

/// Tells whether `name` is a function of the language as Step Functions speaks it.
pub(super) fn is_function(name: &str) -> bool {
    name == "eval"
        || DRAWING.contains(&name)
        || PURE.iter().any(|(own, ..)| *own == name)
        || jlens_core::function_catalog()
            .iter()
            .any(|function| function.name == name)
}

/// Tells whether a call of `name` with so many arguments may read its context in place of a missing one.
pub(super) fn takes_context(name: &str, given: usize) -> bool {
    let functions = jlens_core::function_catalog();
    functions
        .iter()
        .find(|function| function.name == name)
        .is_some_and(|function| {
            let signature = &function.signature;
            let optional = signature.matches('?').count();
            // An object may pass for the context of these, whatever the arguments are.
            let takes_object = signature.starts_with("<o-") && given < function.params.len();
            takes_object || signature.contains('-') && given + optional < function.params.len()
        })
}

/// Tells whether `name` is a function that draws from the execution's chance through `with_chance`.
pub(super) fn draws(name: &str) -> bool {
    DRAWING.contains(&name)
}

/// Returns the bindings of those functions among `names` that need nothing of the execution.
pub(super) fn pure<'n>(names: impl Iterator<Item = &'n str>) -> Bindings {
    let mut bindings = Bindings::new();
    for name in names {
        if name == "eval" {
            bindings = bindings.var("eval", Value::Null);
        }
        let found = PURE.iter().find(|(own, ..)| *own == name);
        if let Some((_, signature, implementation)) = found
            && let Ok(function) = HostFunction::with_signature(signature, |given, _| implementation(given))
        {
            bindings = bindings.function(name, function.without_input());
        }
        if let Some((_, _, fits)) = GUARDED.iter().find(|(guarded, ..)| *guarded == name) {
            let function = HostFunction::new(1, |given, _| fits(given));
            bindings = bindings.function(format!("__{name}_fits"), function.without_input());
        }
    }
    bindings
}

/// What functions of ours may still make in an evaluation, in values: the engine bounds one array, not all of them.
pub(super) struct Budget(AtomicUsize);

impl Budget {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(AtomicUsize::new(limits::VALUES)))
    }

    fn spend(&self, n_values: usize) -> Result<(), Error> {
        let left = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(n_values));
        left.map(drop).map_err(|_| limits::too_much())
    }
}

/// Tells whether `name` is a function that may make more than it is given.
pub(super) fn makes_values(name: &str) -> bool {
    ["pad", "partition", "range"].contains(&name)
}

/// Binds functions among `names` anew, so that all their calls spend from one budget.
pub(super) fn with_budget(bindings: Bindings, names: &[String], budget: &Arc<Budget>) -> Bindings {
    let mut bindings = bindings;
    for (name, signature, implementation) in PURE {
        if !makes_values(name) || !names.iter().any(|known| known == name) {
            continue;
        }
        let budget = budget.clone();
        let function = HostFunction::with_signature(signature, move |given, _| {
            let made = implementation(given)?;
            budget.spend(match &made {
                Some(Value::Array(items)) => {
                    let inner = items.iter().filter_map(Value::as_array);
                    inner.fold(items.len(), |sum, inner| sum + inner.len())
                }
                Some(Value::String(text)) => text.len() / 32,
                _ => 0,
            })?;
            Ok(made)
        });
        if let Ok(function) = function {
            bindings = bindings.function(name, function.without_input());
        }
    }
    bindings
}

/// Returns the text that puts guards before those functions among `names` that need one.
pub(super) fn guards(names: &[String]) -> String {
    let mut text = String::new();
    for (name, lambda, _) in GUARDED {
        if names.iter().any(|known| known == name) {
            text += &format!("$__{name} := ${name};\n${name} := {lambda};\n");
        }
    }
    text
}

/// Adds `$random` and `$uuid`.
pub(super) fn with_chance(bindings: Bindings, chance: &Arc<Mutex<Entropy>>) -> Bindings {
    let mut bindings = bindings;
    let source = chance.clone();
    let random = HostFunction::with_signature("<n?:n>", move |given, _| {
        let drawn = match number(given, 0) {
            Some(seed) => JavaRandom::new(seed as i64).next_double(),
            None => source.lock().unwrap_or_else(PoisonError::into_inner).next_f64(),
        };
        Ok(Some(Value::from(drawn)))
    });
    if let Ok(function) = random {
        bindings = bindings.function("random", function.without_input());
    }
    let source = chance.clone();
    let uuid = HostFunction::with_signature("<:s>", move |_, _| {
        let drawn = source.lock().unwrap_or_else(PoisonError::into_inner).uuid();
        Ok(Some(Value::from(drawn)))
    });
    if let Ok(function) = uuid {
        bindings = bindings.function("uuid", function.without_input());
    }
    bindings
}

fn number(given: &Given, index: usize) -> Option<f64> {
    given.get(index)?.as_ref()?.as_f64()
}

fn text(given: &Given, index: usize) -> Option<&str> {
    given.get(index)?.as_ref()?.as_str()
}

/// `$base64decode(text)`, which in AWS fails where a browser would guess.
fn base64decode(given: &Given) -> Result<Option<Value>, Error> {
    let Some(text) = text(given, 0) else {
        return Ok(None);
    };
    let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let decoded = GeneralPurpose::new(&alphabet::STANDARD, lenient).decode(text);
    match decoded {
        Ok(bytes) => Ok(Some(Value::from(String::from_utf8_lossy(&bytes)))),
        Err(_) => Err(limits::internal()),
    }
}

/// `$hash(text, algorithm)`.
fn hash(given: &Given) -> Result<Option<Value>, Error> {
    let (Some(text), Some(algorithm)) = (text(given, 0), text(given, 1)) else {
        return Ok(None);
    };
    let bytes = text.as_bytes();
    let digest: Vec<u8> = match algorithm {
        "MD5" => md5::Md5::digest(bytes).to_vec(),
        "SHA-1" => sha1::Sha1::digest(bytes).to_vec(),
        "SHA-256" => sha2::Sha256::digest(bytes).to_vec(),
        "SHA-384" => sha2::Sha384::digest(bytes).to_vec(),
        "SHA-512" => sha2::Sha512::digest(bytes).to_vec(),
        other => return Err(limits::refused(format!("Unsupported hash algorithm: {other}"))),
    };
    let mut hex = String::with_capacity(digest.len() * 2);
    for byte in digest {
        hex.extend([byte >> 4, byte & 15].map(|nibble| char::from_digit(u32::from(nibble), 16).unwrap_or('0')));
    }
    Ok(Some(Value::from(hex)))
}

/// Tells whether `$distinct` ends in time: it compares each item with each different one before it.
fn distinct_fits(given: &Given) -> Result<Option<Value>, Error> {
    let Some(Some(Value::Array(items))) = given.first() else {
        return Ok(None);
    };
    let mut different = BTreeSet::new();
    let mut work = 0;
    for item in items {
        let text = item.to_string();
        work += different.len() * (1 + text.len() / 8);
        if work > COMPARISONS {
            return Err(limits::too_long());
        }
        different.insert(text);
    }
    Ok(None)
}

/// Tells whether the text is bearable that `$replace` makes of three texts.
fn replace_fits(given: &Given) -> Result<Option<Value>, Error> {
    let (Some(text), Some(pattern), Some(by)) = (text(given, 0), text(given, 1), text(given, 2)) else {
        return Ok(None);
    };
    if by.len() > pattern.len() && !pattern.is_empty() {
        let at_most = number(given, 3).map_or(usize::MAX, |limit| limit.ceil() as usize);
        let found = text.matches(pattern).take(at_most).count();
        let made = found
            .saturating_mul(by.len() - pattern.len())
            .saturating_add(text.len());
        if made > limits::TEXT {
            return Err(limits::too_much());
        }
    }
    Ok(None)
}

/// `$parse(text)`.
fn parse(given: &Given) -> Result<Option<Value>, Error> {
    let Some(text) = text(given, 0) else {
        return Ok(None);
    };
    serde_json::from_str(text)
        .map(Some)
        .map_err(|error| limits::refused(format!("Unable to parse JSON string: {error}")))
}

/// `$partition(array, size)`: the last part may be shorter.
fn partition(given: &Given) -> Result<Option<Value>, Error> {
    let (Some(Some(Value::Array(items))), Some(size)) = (given.first(), number(given, 1)) else {
        return Ok(None);
    };
    let size = size.trunc();
    if size < 1.0 {
        return Err(limits::refused(
            "The chunk size of the partition function must be a positive integer",
        ));
    }
    // A size beyond every array is as good as the largest `usize`, to which the cast holds it.
    let parts = items.chunks(size as usize).map(|part| Value::Array(part.to_vec()));
    Ok(Some(Value::Array(parts.collect())))
}

/// `$range(first, last, step)`: `last` is included; the result is a sequence, which unwraps.
fn range(given: &Given) -> Result<Option<Value>, Error> {
    let (Some(first), Some(last), Some(step)) = (number(given, 0), number(given, 1), number(given, 2)) else {
        return Ok(None);
    };
    let (first, last, step) = (first.trunc(), last.trunc(), step.trunc());
    if step == 0.0 {
        return Err(limits::refused("The step of the range function must not be 0"));
    }
    let steps = ((last - first) / step).floor();
    if steps < 0.0 {
        return Ok(None);
    }
    if steps.is_nan() || steps >= limits::RANGE_ITEMS as f64 {
        return Err(limits::too_much());
    }
    let mut items: Vec<Value> = (0..=steps as usize)
        .map(|index| result::number(first + index as f64 * step))
        .collect();
    Ok(if items.len() == 1 {
        items.pop()
    } else {
        Some(Value::Array(items))
    })
}

/// `$pad(text, width, char)`, which AWS bounds.
fn pad(given: &Given) -> Result<Option<Value>, Error> {
    let Some(text) = text(given, 0) else {
        return Ok(None);
    };
    let width = number(given, 1).unwrap_or(0.0).trunc();
    let filler: Vec<char> = match self::text(given, 2) {
        Some(filler) if !filler.is_empty() => filler.chars().collect(),
        _ => vec![' '],
    };
    let missing = width.abs() - text.chars().count() as f64;
    if missing > PADDING as f64 {
        return Err(limits::too_much());
    }
    let padding: String = filler.iter().cycle().take(missing.max(0.0) as usize).collect();
    Ok(Some(Value::from(if width < 0.0 {
        padding + text
    } else {
        text.to_owned() + &padding
    })))
}
