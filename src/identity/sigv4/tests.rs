use std::time::Duration;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::SignableBody;
use aws_sigv4::http_request::SignableRequest;
use aws_sigv4::http_request::SigningSettings;
use aws_sigv4::http_request::sign;
use aws_sigv4::sign::v4;
use hyper::header::HeaderName;
use hyper::header::HeaderValue;

use super::*;
use crate::identity::canonical::HEADER_BYTES_MAX;
use crate::identity::canonical::QUERY_BYTES_MAX;
use crate::identity::keys::New;
use crate::identity::keys::tests::Scratch;
use crate::identity::keys::tests::me;

const NOW: Timestamp = Timestamp(1_795_543_140_000);
const TARGET: &str = "AWSStepFunctions.StartExecution";

/// A request that is sent, and changed on its way.
#[derive(Clone, Debug)]
struct Sent {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Sent {
    fn new(target: &str, body: &str) -> Self {
        let mut sent = Self {
            method: "POST".to_owned(),
            path: "/".to_owned(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: body.as_bytes().to_vec(),
        };
        sent.put("host", "localhost:8083");
        sent.put("content-type", "application/x-amz-json-1.0");
        sent.put("x-amz-target", target);
        sent
    }

    fn put(&mut self, name: &str, value: &str) {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        self.headers.insert(HeaderName::try_from(name).unwrap(), value);
    }

    fn add(&mut self, name: &str, value: &str) {
        let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
        self.headers.append(HeaderName::try_from(name).unwrap(), value);
    }

    fn change(&mut self, name: &str, change: impl Fn(&str) -> String) {
        let value = change(self.headers[name].to_str().unwrap());
        self.put(name, &value);
    }

    /// Signs with AWS's own signer.
    fn signed(mut self, signer: &Signer<'_>) -> Self {
        let credentials = Credentials::new(signer.id, signer.secret, None, None, "test");
        let identity = credentials.into();
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(signer.at.0).unwrap());
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(signer.region)
            .name(signer.service)
            .time(time)
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let url = match self.query.as_str() {
            "" => format!("http://localhost:8083{}", self.path),
            query => format!("http://localhost:8083{}?{query}", self.path),
        };
        let headers: Vec<(&str, &str)> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), std::str::from_utf8(value.as_bytes()).unwrap()))
            .collect();
        let request = SignableRequest::new(&self.method, &url, headers.into_iter(), SignableBody::Bytes(&self.body));
        let (instructions, _) = sign(request.unwrap(), &parameters).unwrap().into_parts();
        for (name, value) in instructions.headers() {
            self.put(name, value);
        }
        self
    }

    fn verify(&self, keys: &Keys, now: Timestamp) -> Result<Principal, Refusal> {
        let signed = Signed {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            body: &self.body,
        };
        verify(keys, &signed, now)
    }
}

struct Signer<'a> {
    id: &'a str,
    secret: &'a str,
    region: &'a str,
    service: &'a str,
    at: Timestamp,
}

impl<'a> Signer<'a> {
    fn new(key: &'a New) -> Self {
        Self {
            id: &key.key.id,
            secret: key.secret.expose_secret(),
            region: "us-east-1",
            service: SERVICE,
            at: NOW,
        }
    }
}

fn a_day_on() -> Timestamp {
    NOW.plus_millis(86_400_000)
}

fn name(result: Result<Principal, Refusal>) -> &'static str {
    result.map_or_else(
        |refusal| {
            assert!(refusal.message.ends_with('.') || refusal.message == "Missing Authentication Token");
            refusal.name
        },
        |_| "taken",
    )
}

#[test]
fn what_awss_own_signer_signs_is_taken() {
    let seed = std::env::var("STEPFN_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| getrandom::u64().unwrap());
    eprintln!("STEPFN_SEED={seed}");
    let mut state = seed | 1;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below).unwrap()).unwrap()
    };
    let scratch = Scratch::new();
    let key = scratch.make(NOW, a_day_on());
    for round in 0..400 {
        let mut pick = |choices: &[&str]| choices[random(choices.len())].to_owned();
        let mut sent = Sent::new(TARGET, "");
        sent.method = pick(&["POST", "GET", "PUT"]);
        sent.path = pick(&[
            "/",
            "/a",
            "/a/",
            "//a//b",
            "/a/./b/../c",
            "/%C3%A9/x%20y",
            "/a+b~c-d_e.f",
            "/..",
        ]);
        sent.query = pick(&["", "b=2&a=1", "a=2&a=1&a", "x=%2F%20%C3%A9&y=", "A=1&a=1&-=3", "a=%7E~"]);
        sent.body = pick(&["", "{}", "{\"input\":\"é\u{1F600}\"}"])
            .repeat(round % 5 + 1)
            .into_bytes();
        for header in ["x-amz-extra", "a-list", "x-amzn-note", "my-header"] {
            for _ in 0..random(3) {
                let mut pick = |choices: &[&str]| choices[random(choices.len())].to_owned();
                sent.add(header, &pick(&["a", "  a  b   c ", "a,b", "\"a  b\"", "x=1; y=2", ""]));
            }
        }
        sent.put("amz-sdk-invocation-id", &round.to_string());
        let region = ["us-east-1", "eu-central-1", "local"][random(3)];
        let drift = i64::try_from(random(600_001)).unwrap() - 300_000;
        let signer = Signer {
            region,
            at: Timestamp(NOW.0 / 1000 * 1000),
            ..Signer::new(&key)
        };
        let sent = sent.signed(&signer);
        let principal = sent.verify(&scratch.keys, Timestamp(NOW.0 + drift));
        let principal = principal.unwrap_or_else(|refusal| panic!("round {round}: {refusal}\n{sent:#?}"));
        assert_eq!(
            (principal.name.as_ref(), principal.kind),
            (me().as_str(), PrincipalKind::AccessKey)
        );
        assert_eq!(principal.key_id.as_deref(), Some(key.key.id.as_str()));
        assert_eq!(principal.uid, Some(key.key.uid));
    }
}

/// What is done to a signed request, and the name of the refusal.
type Change = (&'static str, &'static str, fn(&mut Sent));

const CHANGES: &[Change] = &[
    ("nothing", "taken", |_| {}),
    ("method", INVALID, |sent| sent.method = "PUT".to_owned()),
    ("path", INVALID, |sent| sent.path = "/x".to_owned()),
    ("query", INVALID, |sent| sent.query = "x=1".to_owned()),
    ("body", INVALID, |sent| sent.body[0] ^= 1),
    ("more body", INVALID, |sent| sent.body.push(b' ')),
    ("no body", INVALID, |sent| sent.body.clear()),
    ("host", INVALID, |sent| sent.put("host", "localhost:8084")),
    ("target", INVALID, |sent| {
        sent.put("x-amz-target", "AWSStepFunctions.StopExecution")
    }),
    ("a second target", INVALID, |sent| sent.add("x-amz-target", "x")),
    ("type", INVALID, |sent| sent.put("content-type", "text/plain")),
    ("a header that is not signed", INVALID, |sent| {
        sent.put("x-amz-more", "x")
    }),
    ("a header of others", "taken", |sent| {
        sent.put("x-amzn-trace-id", "Root=1")
    }),
    ("without a header", INVALID, |sent| {
        drop(sent.headers.remove("x-amz-target"))
    }),
    ("hash of another body", INVALID, |sent| {
        sent.put("x-amz-content-sha256", &"0".repeat(64))
    }),
    ("time", INVALID, |sent| {
        sent.change("x-amz-date", |date| date.replace('Z', "").replace("00", "01") + "Z")
    }),
    ("no time", INCOMPLETE, |sent| drop(sent.headers.remove("x-amz-date"))),
    ("two times", INCOMPLETE, |sent| {
        sent.add("x-amz-date", "20261124T175900Z")
    }),
    ("no time of day", INCOMPLETE, |sent| sent.put("x-amz-date", "20261124")),
    ("another form of time", INCOMPLETE, |sent| {
        sent.put("x-amz-date", "2026-11-24T17:59")
    }),
    ("a month too many", INCOMPLETE, |sent| {
        sent.put("x-amz-date", "20261324T175900Z")
    }),
    ("a small letter", INCOMPLETE, |sent| {
        sent.put("x-amz-date", "20261124t175900z")
    }),
    ("another day's scope", INVALID, |sent| {
        sent.put("x-amz-date", "20261125T175900Z")
    }),
    ("a token", UNRECOGNIZED, |sent| {
        sent.put("x-amz-security-token", "secret-token")
    }),
    ("no signature", MISSING, |sent| {
        drop(sent.headers.remove("authorization"))
    }),
    ("signed in the query", MISSING, |sent| {
        sent.headers.remove("authorization");
        sent.query = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0".to_owned();
    }),
    ("two signatures", INCOMPLETE, |sent| {
        let text = sent.headers["authorization"].to_str().unwrap().to_owned();
        sent.add("authorization", &text);
    }),
    ("a wrong digit", INVALID, |sent| {
        sent.change("authorization", |text| {
            let last = text.chars().last().unwrap();
            let other = if last == '0' { '1' } else { '0' };
            format!("{}{other}", &text[..text.len() - 1])
        });
    }),
    ("a digit less", INCOMPLETE, |sent| {
        sent.change("authorization", |text| text[..text.len() - 1].to_owned())
    }),
    ("capitals", INCOMPLETE, |sent| {
        sent.change("authorization", |text| {
            let (rest, signature) = text.split_at(text.len() - 64);
            rest.to_owned() + &signature.to_uppercase().replace(char::is_numeric, "A")
        });
    }),
    ("another algorithm", INCOMPLETE, |sent| {
        sent.change("authorization", |text| {
            text.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256")
        });
    }),
    ("password", INCOMPLETE, |sent| {
        sent.put("authorization", "Basic b3BzMTpzZWNyZXQ=")
    }),
    ("nothing in it", INCOMPLETE, |sent| sent.put("authorization", "")),
    ("one word", INCOMPLETE, |sent| {
        sent.put("authorization", "AWS4-HMAC-SHA256")
    }),
    ("no credential", INCOMPLETE, |sent| {
        sent.put(
            "authorization",
            &format!("AWS4-HMAC-SHA256 SignedHeaders=host, Signature={}", "0".repeat(64)),
        );
    }),
    ("too long", INCOMPLETE, |sent| {
        sent.change("authorization", |text| text.to_owned() + &" ".repeat(5_000) + "x")
    }),
    ("something more", INCOMPLETE, |sent| {
        sent.change("authorization", |text| text.to_owned() + ", More=1")
    }),
    ("twice", INCOMPLETE, |sent| {
        sent.change("authorization", |text| text.to_owned() + ", SignedHeaders=host")
    }),
    ("no blank", "taken", |sent| {
        sent.change("authorization", |text| text.replace(", ", ","))
    }),
    ("another order", "taken", |sent| {
        sent.change("authorization", |text| {
            let (algorithm, rest) = text.split_once(' ').unwrap();
            let mut parts: Vec<&str> = rest.split(", ").collect();
            parts.reverse();
            format!("{algorithm} {}", parts.join(", "))
        });
    }),
    ("region", INVALID, |sent| {
        sent.change("authorization", |text| text.replace("us-east-1", "us-east-2"))
    }),
    ("no region", INVALID, |sent| {
        sent.change("authorization", |text| text.replace("us-east-1", "US east"))
    }),
    ("service", INVALID, |sent| {
        sent.change("authorization", |text| text.replace("/states/", "/s3/"))
    }),
    ("terminator", INVALID, |sent| {
        sent.change("authorization", |text| text.replace("aws4_request", "aws5_request"))
    }),
    ("four elements", INCOMPLETE, |sent| {
        sent.change("authorization", |text| text.replace("/states", ""))
    }),
    ("six elements", INCOMPLETE, |sent| {
        sent.change("authorization", |text| text.replace("/states", "/states/states"))
    }),
    ("unknown key", UNRECOGNIZED, |sent| {
        sent.change("authorization", |text| {
            let at = text.find("AKIA").unwrap();
            format!("{}AKIAAAAAAAAAAAAAAAAA{}", &text[..at], &text[at + 20..])
        });
    }),
    ("a path for a key", UNRECOGNIZED, |sent| {
        sent.change("authorization", |text| {
            let at = text.find("AKIA").unwrap();
            format!("{}../../etc{}", &text[..at], &text[at + 20..]).replace("../../etc", "..%2f..%2f")
        });
    }),
    ("host is not signed", INVALID, |sent| {
        sent.change("authorization", |text| text.replace(";host;", ";"))
    }),
    ("target is not signed", INVALID, |sent| {
        sent.change("authorization", |text| text.replace(";x-amz-target", ""))
    }),
    ("type is not signed", INVALID, |sent| {
        sent.change("authorization", |text| text.replace("content-type;", ""))
    }),
    ("not sorted", INCOMPLETE, |sent| {
        sent.change("authorization", |text| {
            text.replace("content-type;host", "host;content-type")
        });
    }),
    ("signed twice", INCOMPLETE, |sent| {
        sent.change("authorization", |text| text.replace(";host", ";host;host"))
    }),
    ("capital name", INCOMPLETE, |sent| {
        sent.change("authorization", |text| text.replace(";host", ";Host"))
    }),
    ("no names", INCOMPLETE, |sent| {
        sent.change("authorization", |text| {
            text.replace("content-type;host;x-amz-date;x-amz-target", "")
        });
    }),
    ("many names", INCOMPLETE, |sent| {
        let names: Vec<String> = (0..65).map(|number| format!("h{number:03}")).collect();
        sent.change("authorization", |text| {
            text.replace("content-type;host", &names.join(";"))
        });
    }),
    ("a signed header that is not there", INVALID, |sent| {
        sent.change("authorization", |text| {
            text.replace(";host", ";aa;host")
                .replace("content-type;aa", "aa;content-type")
        });
    }),
];

#[test]
fn every_changed_part_is_refused_with_its_name() {
    let scratch = Scratch::new();
    let key = scratch.make(NOW, a_day_on());
    for (index, (what, expected, change)) in CHANGES.iter().enumerate() {
        let mut sent = Sent::new(TARGET, &format!("{{\"name\":\"{index}\"}}")).signed(&Signer::new(&key));
        change(&mut sent);
        let result = sent.verify(&scratch.keys, NOW);
        let told = format!("{result:?}");
        assert_eq!(name(result), *expected, "{what}: {told}");
        for secret in [key.secret.expose_secret(), "secret-token", "b3BzMTpzZWNyZXQ"] {
            assert!(!told.contains(secret), "{what}: {told}");
        }
    }
}

#[test]
fn a_body_without_signature_is_refused() {
    let scratch = Scratch::new();
    let key = scratch.make(NOW, a_day_on());
    for told in ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"] {
        let mut sent = Sent::new(TARGET, "{}");
        sent.put("x-amz-content-sha256", told);
        let refusal = sent.signed(&Signer::new(&key)).verify(&scratch.keys, NOW).unwrap_err();
        assert!(refusal.message.contains("must be signed"), "{refusal}");
    }
}

#[test]
fn a_wrong_secret_another_service_or_too_much_is_refused() {
    let scratch = Scratch::new();
    let key = scratch.make(NOW, a_day_on());
    let other = scratch.make(NOW, a_day_on());
    let sign = |signer: &Signer<'_>| name(Sent::new(TARGET, "{}").signed(signer).verify(&scratch.keys, NOW));
    let secret = other.secret.expose_secret();
    assert_eq!(
        sign(&Signer {
            secret,
            ..Signer::new(&key)
        }),
        INVALID
    );
    assert_eq!(
        sign(&Signer {
            service: "s3",
            ..Signer::new(&key)
        }),
        INVALID
    );
    let mut large = Sent::new(TARGET, "{}");
    large.put("x-large", &"x".repeat(HEADER_BYTES_MAX));
    assert_eq!(
        name(large.signed(&Signer::new(&key)).verify(&scratch.keys, NOW)),
        INCOMPLETE
    );
    let mut long = Sent::new(TARGET, "{}");
    long.query = "x".repeat(QUERY_BYTES_MAX + 1);
    assert_eq!(
        name(long.signed(&Signer::new(&key)).verify(&scratch.keys, NOW)),
        INCOMPLETE
    );
    assert_eq!(sign(&Signer::new(&key)), "taken");
}

#[test]
fn five_minutes_are_the_limit() {
    let scratch = Scratch::new();
    let key = scratch.make(NOW, a_day_on());
    let sent = Sent::new("AWSStepFunctions.ListStateMachines", "{}").signed(&Signer::new(&key));
    for (millis, expected) in [
        (-300_001, "Signature not yet current"),
        (-300_000, "taken"),
        (300_000, "taken"),
        (300_001, "Signature expired"),
    ] {
        match sent.verify(&scratch.keys, Timestamp(NOW.0 + millis)) {
            Ok(_) => assert_eq!(expected, "taken"),
            Err(refusal) => assert!(refusal.message.starts_with(expected), "{refusal}"),
        }
    }
}

#[test]
fn a_key_ends_when_it_expires_or_is_revoked() {
    let scratch = Scratch::new();
    let key = scratch.make(NOW, NOW.plus_millis(1));
    let sent = Sent::new("AWSStepFunctions.ListStateMachines", "{}").signed(&Signer::new(&key));
    assert_eq!(name(sent.verify(&scratch.keys, NOW)), "taken");
    let later = NOW.plus_millis(1);
    assert_eq!(name(sent.verify(&scratch.keys, later)), "ExpiredTokenException");
    let mut wrong = sent.clone();
    wrong.body.push(b' ');
    assert_eq!(
        name(wrong.verify(&scratch.keys, later)),
        INVALID,
        "who lacks the secret is not told"
    );
    // Another process revokes it.
    Keys::new(scratch.keys.directory()).revoke(&key.key.id, NOW).unwrap();
    assert_eq!(
        name(sent.verify(&scratch.keys, NOW)),
        UNRECOGNIZED,
        "with the next request"
    );
}

#[test]
fn a_request_that_changes_something_is_taken_once() {
    let scratch = Scratch::new();
    let key = scratch.make(NOW, a_day_on());
    for (target, again) in [
        ("AWSStepFunctions.StartExecution", THROTTLED),
        ("AWSStepFunctions.SendTaskSuccess", THROTTLED),
        ("AWSStepFunctions.GetActivityTask", THROTTLED),
        ("AWSStepFunctions.GetExecutionHistory", "taken"),
        ("AWSStepFunctions.DescribeExecution", "taken"),
        ("AWSStepFunctions.ListExecutions", "taken"),
        ("AWSStepFunctions.ValidateStateMachineDefinition", "taken"),
        ("AWSStepFunctions.TestState", "taken"),
    ] {
        let sent = Sent::new(target, "{}").signed(&Signer::new(&key));
        assert_eq!(name(sent.verify(&scratch.keys, NOW)), "taken", "{target}");
        assert_eq!(
            name(sent.verify(&scratch.keys, NOW.plus_millis(299_000))),
            again,
            "{target}"
        );
    }
    // As botocore and the SDK for Rust send it: what tells requests apart is added after signing.
    let with = |id: &str, attempt: &str, later: u64| {
        let mut sent = Sent::new(TARGET, "{\"input\":\"{}\"}").signed(&Signer::new(&key));
        sent.put("amz-sdk-invocation-id", id);
        sent.put("amz-sdk-request", attempt);
        name(sent.verify(&scratch.keys, NOW.plus_millis(later)))
    };
    assert_eq!(with("a", "attempt=1", 0), "taken");
    assert_eq!(with("a", "attempt=2; max=5", 300), "taken", "a retry within the second");
    assert_eq!(with("b", "attempt=1", 400), "taken", "the same call once more");
    assert_eq!(with("b", "attempt=1", 500), THROTTLED, "a copy");
    assert_eq!(with("c", "attempt=1", 60_000), THROTTLED, "a copy with another header");
}
