//! stepfn as the issuer of tokens: what they say, and how others verify them (OpenID Connect discovery).

use jsonwebtoken::Header;
use ring::rand::SecureRandom;
use ring::rand::SystemRandom;
use secrecy::SecretSlice;
use serde_json::Value;
use serde_json::json;
use zeroize::Zeroize;

use crate::identity::token::host_id;
use crate::identity::token::keyring::Key;
use crate::identity::token::keyring::Keyring;
use crate::identity::token::keyring::TTL_SECONDS_MAX;
use crate::model::principal::Principal;

/// Where discovery finds the issuer, below its URL.
pub const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";
/// Where its public keys are.
pub const KEYS_PATH: &str = "/.well-known/jwks.json";
/// Longest `sub` (OpenID Connect Core, section 2).
const SUBJECT_BYTES_MAX: usize = 255;

/// For which attempt a token is.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The execution's ARN.
    pub execution_arn: &'a str,
    /// The state machine's name.
    pub state_machine: &'a str,
    /// The state's name.
    pub state: &'a str,
    /// Which attempt, from 1.
    pub attempt: u32,
    /// Who started the execution, where that is known.
    pub started_by: Option<&'a Principal>,
    /// How long the state may take.
    pub timeout_seconds: Option<u64>,
}

/// In whose name a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The state's.
    State,
    /// Of whoever started the execution.
    Starter,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// For which attempt.
    pub entry: Entry<'a>,
    /// In whose name.
    pub subject: Subject,
    /// Who is to take it.
    pub audience: &'a str,
    /// What it allows there.
    pub scope: Option<&'a str>,
    /// How long it is valid at most.
    pub ttl_seconds: u64,
}

/// Writes a name so that it holds no `:`: what is not a letter, a digit, `-`, `.`, `_` or `~` becomes `%XX`, byte by
/// byte (UTF-8), as RFC 3986 has it.
pub fn escape(name: &str) -> String {
    name.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            _ => text += &format!("%{byte:02X}"),
        }
        text
    })
}

/// Returns the `sub` of a state's tokens: `HOST:machine:STATE-MACHINE:state:STATE`.
pub fn subject(host: &str, state_machine: &str, state: &str) -> String {
    format!("{host}:machine:{}:state:{}", escape(state_machine), escape(state))
}

/// Makes a token. `now` is in seconds since 1970.
///
/// # Errors
/// The subject would be too long, or it cannot be signed: a fragment of a sentence.
pub fn issue(ring: &Keyring, issuer: &str, wanted: &Wanted<'_>, now: i64) -> Result<SecretSlice<u8>, String> {
    let Entry {
        execution_arn,
        state_machine,
        state,
        attempt,
        started_by,
        timeout_seconds,
    } = wanted.entry;
    let subject = match (wanted.subject, started_by) {
        (Subject::State, _) => subject(&ring.host, state_machine, state),
        (Subject::Starter, Some(starter)) => format!("{}:user:{}", ring.host, escape(&starter.name)),
        (Subject::Starter, None) => return Err("nobody knows who started the execution".to_owned()),
    };
    if subject.len() > SUBJECT_BYTES_MAX {
        return Err("the names of the state machine and the state are too long for the subject of a token".to_owned());
    }
    let longest = u64::try_from(TTL_SECONDS_MAX).unwrap_or(0);
    let ttl = wanted.ttl_seconds.min(timeout_seconds.unwrap_or(u64::MAX)).min(longest);
    let mut claims = json!({
        "iss": issuer,
        "sub": subject,
        "aud": wanted.audience,
        "iat": now,
        "nbf": now,
        "exp": now + i64::try_from(ttl).unwrap_or(0),
        "jti": fresh_id()?,
        "execution": execution_arn,
        "state": state,
        "attempt": attempt,
        "state_machine": state_machine,
    });
    if let Some(scope) = wanted.scope {
        claims["scope"] = Value::from(scope);
    }
    if let Some(starter) = started_by {
        claims["started_by"] = Value::from(&*starter.name);
        claims["started_by_kind"] = serde_json::to_value(starter.kind).unwrap_or(Value::Null);
    }
    let key = ring.signing(now);
    sign(key, &claims)
}

fn sign(key: &Key, claims: &Value) -> Result<SecretSlice<u8>, String> {
    let header = Header {
        kid: Some(key.id.clone()),
        ..Header::new(key.algorithm)
    };
    let token = jsonwebtoken::encode(&header, claims, &key.secret);
    let mut token = token.map_err(|error| format!("it cannot be signed: {error}"))?;
    let value = SecretSlice::from(token.as_bytes().to_vec());
    token.zeroize();
    Ok(value)
}

fn fresh_id() -> Result<String, String> {
    let mut bytes = [0; 16];
    let filled = SystemRandom::new().fill(&mut bytes);
    filled.map_err(|_| "this machine gives no random numbers".to_owned())?;
    Ok(host_id::hexadecimal(&bytes))
}

/// Returns the discovery document of an issuer, such as `{"issuer": "https://…", "jwks_uri": …}`.
pub fn discovery(issuer: &str, ring: &Keyring) -> Value {
    let algorithms: Vec<String> = ring.keys().iter().map(|key| format!("{:?}", key.algorithm)).collect();
    let mut algorithms = algorithms;
    algorithms.dedup();
    json!({
        "issuer": issuer,
        "jwks_uri": format!("{}{KEYS_PATH}", issuer.trim_end_matches('/')),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
        "claims_supported": [
            "iss", "sub", "aud", "iat", "nbf", "exp", "jti", "execution", "state", "attempt", "state_machine", "scope",
            "started_by", "started_by_kind",
        ],
    })
}

/// Returns the public keys: `{"keys": […]}` (RFC 7517).
pub fn public_keys(ring: &Keyring) -> Value {
    let keys: Vec<_> = ring.keys().iter().map(|key| &key.public).collect();
    json!({ "keys": keys })
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::Algorithm;
    use jsonwebtoken::DecodingKey;
    use jsonwebtoken::Validation;
    use secrecy::ExposeSecret;

    use super::*;
    use crate::identity::token::keyring::tests::Place;
    use crate::model::principal::PrincipalKind;

    fn claims(ring: &Keyring, token: &SecretSlice<u8>, now: i64) -> Value {
        let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_value(public_keys(ring)).unwrap();
        let text = std::str::from_utf8(token.expose_secret()).unwrap();
        let header = jsonwebtoken::decode_header(text).unwrap();
        let key = keys.find(header.kid.as_deref().unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&["registry"]);
        validation.validate_exp = now == 0;
        jsonwebtoken::decode::<Value>(text, &DecodingKey::from_jwk(key).unwrap(), &validation)
            .unwrap()
            .claims
    }

    fn wanted<'a>(entry: Entry<'a>) -> Wanted<'a> {
        Wanted {
            entry,
            subject: Subject::State,
            audience: "registry",
            scope: Some("push"),
            ttl_seconds: 300,
        }
    }

    fn entry<'a>(state_machine: &'a str, state: &'a str) -> Entry<'a> {
        Entry {
            execution_arn: "arn:aws:states:us-east-1:123456789012:execution:deploy:e",
            state_machine,
            state,
            attempt: 2,
            started_by: None,
            timeout_seconds: None,
        }
    }

    #[test]
    fn a_token_says_for_what_it_is_and_the_published_keys_verify_it() {
        let place = Place::new();
        let ring = Keyring::open(&place.0, 1000).unwrap();
        let starter = Principal::new(PrincipalKind::UnixSocket, "ops1");
        let entry = Entry {
            started_by: Some(&starter),
            timeout_seconds: Some(60),
            ..entry("deploy", "Push")
        };
        let token = issue(&ring, "https://tokens.example.com", &wanted(entry), 1000).unwrap();
        let mut found = claims(&ring, &token, 1000);
        assert_eq!(found["sub"], format!("{}:machine:deploy:state:Push", ring.host));
        assert_eq!(found["jti"].as_str().unwrap().len(), 32);
        found["sub"].take();
        found["jti"].take();
        expect_test::expect![[r#"{"iss":"https://tokens.example.com","sub":null,"aud":"registry","iat":1000,"nbf":1000,"exp":1060,"jti":null,"execution":"arn:aws:states:us-east-1:123456789012:execution:deploy:e","state":"Push","attempt":2,"state_machine":"deploy","scope":"push","started_by":"ops1","started_by_kind":"unix-socket"}"#]]
        .assert_eq(&found.to_string());
        let other = issue(&ring, "https://tokens.example.com", &wanted(entry), 1000).unwrap();
        assert_ne!(other.expose_secret(), token.expose_secret());
    }

    #[test]
    fn no_name_can_look_like_another_subject() {
        for (one, other) in [
            (("a:state:b", "c"), ("a", "b:state:c")),
            (("a", "b%3Ac"), ("a", "b:c")),
            (("a%", "b"), ("a%25", "b")),
            (("é", "b"), ("%C3%A9", "b")),
        ] {
            assert_ne!(subject("h", one.0, one.1), subject("h", other.0, other.1));
        }
        assert_eq!(subject("h", "a:b", "c d*"), "h:machine:a%3Ab:state:c%20d%2A");
        let place = Place::new();
        let ring = Keyring::open(&place.0, 0).unwrap();
        let long = "é".repeat(80);
        let error = issue(&ring, "i", &wanted(entry("m", &long)), 0).unwrap_err();
        assert!(error.contains("too long"), "{error}");
    }

    #[test]
    fn a_token_lives_no_longer_than_its_state_may_take() {
        let place = Place::new();
        let ring = Keyring::open(&place.0, 0).unwrap();
        for (ttl_seconds, timeout_seconds, expected) in [
            (300, None, 300),
            (300, Some(20), 20),
            (20, Some(300), 20),
            (1 << 40, None, 3600),
        ] {
            let wanted = Wanted {
                ttl_seconds,
                ..wanted(Entry {
                    timeout_seconds,
                    ..entry("m", "s")
                })
            };
            let token = issue(&ring, "i", &wanted, 5000).unwrap();
            assert_eq!(claims(&ring, &token, 5000)["exp"], 5000 + expected);
        }
        // Of 1970, so long expired.
        let token = issue(&ring, "i", &wanted(entry("m", "s")), 5000).unwrap();
        let text = std::str::from_utf8(token.expose_secret()).unwrap().to_owned();
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&["registry"]);
        let key = DecodingKey::from_jwk(&ring.keys()[0].public).unwrap();
        assert!(jsonwebtoken::decode::<Value>(&text, &key, &validation).is_err());
    }
}
